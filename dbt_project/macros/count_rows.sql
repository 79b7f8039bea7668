{#
    One row a check from a relation of sums.

    sums: the CTE, with a column `task`; source_table: a column or a quoted literal; checks: list of
    (name, looked_at, found), the last two columns of the CTE or expressions over them.
#}
{% macro count_rows(sums, source_table, checks) %}
    {%- for name, looked_at, found in checks %}
    select
        '{{ name }}' as name,
        {{ source_table }} as source_table,
        task,
        cast({{ looked_at }} as bigint) as looked_at,
        cast({{ found }} as bigint) as found
    from {{ sums }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{% endmacro %}
