{#
    One row a quirk from a relation of counts.

    counts: the CTE; source_table: a column or a quoted literal; quirks: list of (name, looked_at, found),
    the last two columns of the CTE.
#}
{% macro quirk_rows(counts, source_table, quirks) %}
    {%- for name, looked_at, found in quirks %}
    select
        '{{ name }}' as name,
        {{ source_table }} as source_table,
        {{ looked_at }} as looked_at,
        {{ found }} as found
    from {{ counts }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{% endmacro %}
