with task_rule as (

    select * from {{ ref('task_rule') }}

),

entry as (

    select * from {{ ref('entry') }}

),

entry_outcome as (

    select * from {{ ref('entry_outcome') }}

),

-- the confirmation window counts as follow-up; a death ends what has to be followed
followed as (

    select
        entry.*,
        task_rule.is_death_unknown,
        task_rule.is_unmeasured_unknown,
        task_rule.is_unconfirmed_unknown,
        entry.tar_end_date is null as is_visit_end_unknown,
        task_rule.is_outcome_forbidden
        and coalesce(entry_outcome.is_outcome_known, false) as is_outcome_known,
        task_rule.is_outcome_forbidden
        and coalesce(entry_outcome.is_outcome_known_later, false) as is_outcome_known_later,
        not task_rule.is_outcome_recurrent
        and coalesce(entry_outcome.is_outcome_before_time_at_risk, false) as is_outcome_before_time_at_risk,
        task_rule.follow_up_policy <> 'negative'
        and entry.observation_period_end_date < entry.tar_end_date + task_rule.confirmation_days
        and not coalesce(entry.death_date <= entry.observation_period_end_date, false) as is_lost,
        coalesce(entry_outcome.is_measured, false) as is_measured,
        coalesce(entry_outcome.is_unconfirmed, false) as is_unconfirmed,
        entry_outcome.outcome_date as candidate_date,
        least(entry.observation_period_end_date, entry.death_date) as follow_up_end_date
    from entry
    inner join task_rule
        on entry.task = task_rule.task
    left join entry_outcome
        on
            entry.task = entry_outcome.task
            and entry.person_id = entry_outcome.person_id
            and entry.index_date = entry_outcome.index_date

),

-- the first reason that holds; censored is not negative; who is not observed has no label
reasoned as (

    select
        *,
        case
            when observation_period_start_date is null then 'not_observed'
            when death_date <= index_date and death_available_date > index_date
                then 'death_before_index_known_later'
            when is_outcome_known_later then 'outcome_before_index_known_later'
            when is_outcome_before_time_at_risk then 'outcome_before_time_at_risk'
            when is_stay_continued then 'stay_continues'
            when is_visit_end_unknown then 'visit_end_unknown'
            when candidate_date is not null then null
            when is_lost then 'lost_to_follow_up'
            when is_unmeasured_unknown and not is_measured then 'unmeasured'
            when is_death_unknown and death_date <= tar_end_date then 'died_before_outcome'
            when is_unconfirmed_unknown and is_unconfirmed then 'outcome_unconfirmed'
        end as reason
    from followed

),

labelled as (

    select
        task,
        person_id,
        index_date,
        entry_event_id,
        observation_period_start_date,
        observation_period_end_date,
        birth_date,
        age,
        sex_concept_id,
        death_date,
        death_available_date,
        tar_start_date,
        tar_end_date,
        follow_up_end_date,
        is_outcome_known,
        case
            when reason is not null then null
            when candidate_date is not null then 1
            else 0
        end as y_true,
        reason,
        case when reason is null then candidate_date end as outcome_date
    from reasoned

)

select * from labelled
