{# The day the data ends, as the study gives it: from the periods (auto), not at all (none), or a date. #}
{% macro data_end(latest) %}
    {%- set given = var('data_end') | string -%}
    {%- if given == 'auto' -%}
        {{ latest }}
    {%- elif given == 'none' -%}
        cast(null as date)
    {%- elif modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', given) -%}
        cast('{{ given }}' as date)
    {%- else -%}
        {{ exceptions.raise_compiler_error("Wrong value '" ~ given ~ "' for var `data_end`. Allowed: auto, none, a date as YYYY-MM-DD") }}
    {%- endif -%}
{% endmacro %}
