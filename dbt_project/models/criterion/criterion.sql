with criteria as (

    select * from {{ ref('criteria') }}

),

-- rows of one role with the same any_of are alternatives: one group, at the lowest order among them
written as (

    select
        criteria.task,
        criteria.role,
        criteria."order" as criterion_order,
        case
            when criteria.any_of is null then criteria."order"
            else min(criteria."order") over (partition by criteria.task, criteria.role, criteria.any_of)
        end as group_order,
        criteria.domain,
        criteria.concept_set,
        criteria.window_start_days,
        case
            when criteria.role = 'confirm' then criteria.window_end_days
            else coalesce(criteria.window_end_days, 0)
        end as window_end_days,
        case when criteria.role = 'forbid' then 0 else criteria.min_count end as min_count,
        case when criteria.role = 'forbid' then 0 else criteria.max_count end as max_count,
        criteria.value_operator,
        criteria.value_threshold,
        criteria.unit_concept_id,
        criteria.value_concept_set,
        criteria.same_visit_as,
        criteria.role = 'confirm' and named.role = 'outcome' as is_in_visit_of_outcome,
        criteria.min_length_days,
        criteria.description
    from criteria
    left join criteria as named
        on
            criteria.task = named.task
            and criteria.same_visit_as = named."order"

),

-- whether anything was measured: a value outcome without its threshold
measured as (

    select
        task,
        'measured' as role,
        criterion_order,
        group_order,
        domain,
        concept_set,
        window_start_days,
        window_end_days,
        min_count,
        max_count,
        cast(null as varchar) as value_operator,
        cast(null as double) as value_threshold,
        unit_concept_id,
        value_concept_set,
        cast(null as integer) as same_visit_as,
        is_in_visit_of_outcome,
        min_length_days,
        description
    from written
    where
        role = 'outcome'
        and value_operator is not null

),

every_criterion as (

    select * from written
    union all
    select * from measured

)

select * from every_criterion
