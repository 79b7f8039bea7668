{#
    The rows of one table as events: one shape for every table, columns that it lacks are null.

    table: the CTE, named as the CDM table; prefix: of its concept columns; event_date: column or expression.
    The rest are columns or expressions, none where the table has no such thing.
#}
{% macro event_rows(
    table, domain, prefix, event_date, kind='row', record_id=none, type_concept_id=none, visit='visit_occurrence_id',
    number=none, value_concept=none, unit=none, result_date=none
) -%}
    select
        '{{ table }}' as source_table,
        '{{ kind }}' as kind,
        cast({{ record_id or 'null' }} as bigint) as record_id,
        person_id,
        coalesce({{ prefix }}_concept_id, 0) as concept_id,
        coalesce({{ prefix }}_source_concept_id, 0) as source_concept_id,
        '{{ domain }}' as domain,
        {{ event_date }} as event_date,
        cast({{ result_date or 'null' }} as date) as result_date,
        cast({{ visit or 'null' }} as bigint) as visit_occurrence_id,
        {{ type_concept_id or prefix ~ '_type_concept_id' }} as type_concept_id,
        cast({{ number or 'null' }} as double) as value_as_number,
        cast({{ value_concept or 'null' }} as bigint) as value_as_concept_id,
        cast({{ unit or 'null' }} as bigint) as unit_concept_id
    from {{ table }}
{%- endmacro %}
