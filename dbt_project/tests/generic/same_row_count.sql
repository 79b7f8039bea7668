{#
    One row a row of `relations` together: fails with both counts when they differ.

    counted_in: a relation that has counted the model's rows already, with the column of its counts; a view
    over every event is not read again to be counted.
#}
{% test same_row_count(model, relations, counted_in=none, count_column=none) %}

with counted as (

    select
        {% if counted_in -%}
        (select coalesce(sum({{ count_column }}), 0) from {{ counted_in }}) as n_rows,
        {% else -%}
        (select count(*) from {{ model }}) as n_rows,
        {% endif -%}
        {% for relation in relations -%}
        (select count(*) from {{ relation }}){{ ' + ' if not loop.last }}
        {%- endfor %} as n_expected

)

select * from counted
where n_rows <> n_expected

{% endtest %}
