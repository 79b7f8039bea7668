{#
    Make the landed tables readable as the source `omop`, one view a Parquet file.

    It runs before everything else (on-run-start) and issues its statements itself, so that neither the
    manifest nor a compiled model holds the path; only the warehouse does.
#}
{% macro read_landing() %}
    {% if execute %}
        {% set landing = var('landing', none) %}
        {% if not landing %}
            {{ exceptions.raise_compiler_error("Missing var `landing`: the directory of the landed source\n\nhint: dbt build --vars '{landing: /absolute/path}'") }}
        {% endif %}
        {% for table in graph.sources.values() if table.source_name == 'omop' %}
            {% set relation = source('omop', table.name) %}
            {% if loop.first %}
                {% do run_query('create schema if not exists ' ~ relation.include(identifier=false)) %}
            {% endif %}
            {% set file = (landing ~ '/' ~ table.name ~ '.parquet') | replace("'", "''") %}
            {% do run_query("create or replace view " ~ relation ~ " as select * from read_parquet('" ~ file ~ "')") %}
        {% endfor %}
    {% endif %}
{% endmacro %}
