with criterion as (

    select * from {{ ref('criterion') }}

),

concept_set_member as (

    select * from {{ ref('concept_set_member') }}

),

clinical_event as (

    select * from {{ ref('clinical_event') }}

),

stay as (

    select * from {{ ref('stay') }}

),

death as (

    select * from {{ ref('death') }}

),

criterion_concept as (

    select
        criterion.*,
        concept_set_member.concept_id
    from criterion
    inner join concept_set_member
        on criterion.concept_set = concept_set_member.concept_set

),

recorded as (

    select
        criterion_concept.task,
        criterion_concept.role,
        criterion_concept.criterion_order,
        clinical_event.person_id,
        clinical_event.event_id,
        clinical_event.event_date,
        clinical_event.available_date,
        clinical_event.visit_occurrence_id
    from clinical_event
    inner join criterion_concept
        on
            clinical_event.concept_id = criterion_concept.concept_id
            and clinical_event.domain = criterion_concept.domain
    left join concept_set_member as value_member
        on
            criterion_concept.value_concept_set = value_member.concept_set
            and clinical_event.value_as_concept_id = value_member.concept_id
    where
        (criterion_concept.value_concept_set is null or value_member.concept_id is not null)
        and (
            criterion_concept.unit_concept_id is null
            or (
                clinical_event.unit_concept_id = criterion_concept.unit_concept_id
                and not isnan(clinical_event.value_as_number)
                and case coalesce(criterion_concept.value_operator, 'any')
                    when 'any' then true
                    when '>' then clinical_event.value_as_number > criterion_concept.value_threshold
                    when '>=' then clinical_event.value_as_number >= criterion_concept.value_threshold
                    when '<' then clinical_event.value_as_number < criterion_concept.value_threshold
                    when '<=' then clinical_event.value_as_number <= criterion_concept.value_threshold
                end
            )
        )

),

-- whether a stay is over is known the day after: on the day of its end another visit may still continue it;
-- entry rows of domain Stay are the visit anchors', which enter by the stays themselves
stayed as (

    select
        criterion.task,
        criterion.role,
        criterion.criterion_order,
        stay.person_id,
        cast(null as bigint) as event_id,
        stay.start_date + coalesce(criterion.min_length_days, 0) as event_date,
        case
            when criterion.min_length_days is null then stay.start_date
            else stay.end_date + 1
        end as available_date,
        cast(null as bigint) as visit_occurrence_id
    from stay
    inner join criterion
        on
            stay.concept_set = criterion.concept_set
            and criterion.domain = 'Stay'
    where
        criterion.role <> 'entry'
        and (
            criterion.min_length_days is null
            or stay.end_date >= stay.start_date + criterion.min_length_days
        )

),

died as (

    select
        criterion.task,
        criterion.role,
        criterion.criterion_order,
        death.person_id,
        death.event_id,
        death.event_date,
        death.available_date,
        cast(null as bigint) as visit_occurrence_id
    from death
    inner join criterion
        on criterion.domain = 'Death'

),

matched as (

    select * from recorded
    union all
    select * from stayed
    union all
    select * from died

)

select * from matched
