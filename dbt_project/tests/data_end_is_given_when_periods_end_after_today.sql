-- hint: give the var `data_end` a date, or `none` where dates are shifted person by person
select data_end
from {{ ref('study_period') }}
where
    '{{ var("data_end") }}' = 'auto'
    and data_end > current_date
