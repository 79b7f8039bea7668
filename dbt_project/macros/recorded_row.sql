{#
    The rows of one landed table as they stand: one shape for every event table, nothing put in place of nulls.

    prefix: of its concept columns; start, end: its date columns; domain: what its concepts should be, none for
    any. The rest are columns, none where the table has no such thing.
#}
{% macro recorded_row(
    table, domain, prefix, start, end=none, record_id=none, visit='visit_occurrence_id', number=none, unit=none,
    type_concept_id=none
) -%}
    select
        '{{ table }}' as source_table,
        {{ "'" ~ domain ~ "'" if domain else 'cast(null as varchar)' }} as own_domain,
        cast({{ record_id or 'null' }} as bigint) as record_id,
        person_id,
        {{ prefix }}_concept_id as concept_id,
        {{ prefix }}_source_concept_id as source_concept_id,
        {{ type_concept_id or prefix ~ '_type_concept_id' }} as type_concept_id,
        {{ start }} as start_date,
        cast({{ end or 'null' }} as date) as end_date,
        cast({{ visit or 'null' }} as bigint) as visit_occurrence_id,
        cast({{ number or 'null' }} as double) as value_as_number,
        cast({{ unit or 'null' }} as bigint) as unit_concept_id
    from {{ source('omop', table) }}
{%- endmacro %}
