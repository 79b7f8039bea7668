with tasks as (

    select * from {{ ref('tasks') }}

),

criteria as (

    select * from {{ ref('criteria') }}

)

select tasks.task
from tasks
left join criteria
    on tasks.task = criteria.task
group by tasks.task, tasks.anchor
having
    (count(*) filter (where criteria.role = 'entry') = 0) <> (tasks.anchor = 'landmark')
    or count(*) filter (where criteria.role = 'outcome') = 0
