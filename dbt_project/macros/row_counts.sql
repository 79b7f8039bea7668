{#
    Sums of the columns of `row_quality` that are counts: how often a row of a person's table is what its name says.
#}
{% macro row_counts() -%}
    {%- for column in [
        'n_rows', 'n_missing_value', 'n_without_person', 'n_keyed', 'n_repeated_otherwise', 'n_repeated_whole',
        'n_concept', 'n_unmapped', 'n_unmapped_with_source', 'n_mapped', 'n_unknown_concept', 'n_known_concept',
        'n_not_standard', 'n_with_domain', 'n_other_domain', 'n_without_type', 'n_with_visit', 'n_dangling_visit',
        'n_in_visit', 'n_outside_visit', 'n_outside_week_of_visit', 'n_old_stay', 'n_open_stay', 'n_over_nights',
        'n_over_nights_and_no_stay', 'n_with_end', 'n_reversed', 'n_dated', 'n_impossible_date', 'n_of_born',
        'n_before_birth', 'n_of_dead', 'n_after_death', 'n_long_after_death', 'n_placed', 'n_outside_observation',
        'n_before_end', 'n_after_end', 'n_measured', 'n_other_unit', 'n_with_unit', 'n_implausible',
        'n_of_one_sex', 'n_of_other_sex',
    ] %}
        cast(sum({{ column }}) as bigint) as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
