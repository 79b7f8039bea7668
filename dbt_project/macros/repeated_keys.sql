{#
    Keys that stand on more than one row of a table, from the CTE `recorded_row`: how many rows and how many
    different contents each has. Only the rows of those keys are compared with each other.
#}
{% macro repeated_keys(table) -%}
    select
        '{{ table }}' as source_table,
        recorded_row.record_id,
        count(*) as n_rows,
        count(distinct hash(
            recorded_row.person_id,
            recorded_row.concept_id,
            recorded_row.source_concept_id,
            recorded_row.type_concept_id,
            recorded_row.start_date,
            recorded_row.end_date,
            recorded_row.visit_occurrence_id,
            recorded_row.value_as_number,
            recorded_row.unit_concept_id
        )) as n_contents
    from recorded_row
    where
        recorded_row.source_table = '{{ table }}'
        and recorded_row.record_id in (
            select twin.record_id
            from recorded_row as twin
            where twin.source_table = '{{ table }}'
            group by twin.record_id
            having count(*) > 1
        )
    group by recorded_row.record_id
{%- endmacro %}
