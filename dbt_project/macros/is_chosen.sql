{# Whether a row's task is among those the study asks inputs for; all of them where it names none. #}
{% macro is_chosen(task) -%}
    {%- set tasks = var('tasks', []) -%}
    {%- if tasks -%}
        {{ task }} in ({% for name in tasks %}'{{ name | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
