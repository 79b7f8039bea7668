with criteria as (

    select * from {{ ref('criteria') }}

),

concept_set_member as (

    select * from {{ ref('concept_set_member') }}

),

person as (

    select * from {{ ref('person') }}

),

visit_occurrence as (

    select * from {{ ref('stg_omop__visit_occurrence') }}

),

stay_set as (

    select distinct concept_set
    from criteria
    where domain = 'Stay'

),

-- an end before its start counts as the start; a visit without an end goes on for ever
visit as (

    select
        stay_set.concept_set,
        visit_occurrence.person_id,
        visit_occurrence.visit_start_date as start_date,
        max(
            case
                when visit_occurrence.visit_end_date is null then cast('infinity' as date)
                else greatest(visit_occurrence.visit_start_date, visit_occurrence.visit_end_date)
            end
        ) as end_date
    from visit_occurrence
    inner join person
        on visit_occurrence.person_id = person.person_id
    inner join concept_set_member
        on visit_occurrence.visit_concept_id = concept_set_member.concept_id
    inner join stay_set
        on concept_set_member.concept_set = stay_set.concept_set
    where visit_occurrence.visit_start_date is not null
    group by stay_set.concept_set, visit_occurrence.person_id, visit_occurrence.visit_start_date

),

reach as (

    select
        *,
        max(end_date) over (
            partition by concept_set, person_id
            order by start_date
            rows between unbounded preceding and 1 preceding
        ) as end_so_far
    from visit

),

numbered as (

    select
        *,
        count(*) filter (where end_so_far is null or start_date > end_so_far) over (
            partition by concept_set, person_id
            order by start_date
            rows between unbounded preceding and current row
        ) as part_no
    from reach

),

parted as (

    select
        concept_set,
        person_id,
        part_no,
        min(start_date) as start_date,
        nullif(max(end_date), cast('infinity' as date)) as end_date
    from numbered
    group by concept_set, person_id, part_no

)

select * from parted
