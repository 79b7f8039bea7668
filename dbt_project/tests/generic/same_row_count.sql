{# One row a row of `relations` together: fails with both counts when they differ. #}
{% test same_row_count(model, relations) %}

with counted as (

    select
        (select count(*) from {{ model }}) as n_rows,
        {% for relation in relations -%}
        (select count(*) from {{ relation }}){{ ' + ' if not loop.last }}
        {%- endfor %} as n_expected

)

select * from counted
where n_rows <> n_expected

{% endtest %}
