/* tables - which tables of filters, tests and globals there are. */
#include "jinja/jinja.h"

extern const struct jinja_func jinja_filters_seq[], jinja_filters_str[], jinja_filters_text[],
        jinja_filters_random[], jinja_tests_core[], jinja_globals_core[];
extern const struct jinja_func jinja_filters_ansible[], jinja_filters_data[], jinja_filters_num[],
        jinja_filters_path[], jinja_filters_regex[], jinja_filters_time[], jinja_globals_time[],
        jinja_filters_ip[], jinja_filters_query[], jinja_filters_crypt[], jinja_filters_nets[],
        jinja_filters_general[], jinja_filters_keys[], jinja_filters_ini[], jinja_filters_tree[];
extern const struct jinja_func jinja_tests_ansible[], jinja_tests_path[], jinja_tests_regex[],
        jinja_tests_version[], jinja_tests_nets[];

const struct jinja_table jinja_tables[] = {
        {'f', false, jinja_filters_seq},
        {'f', false, jinja_filters_str},
        {'f', false, jinja_filters_text},
        {'f', false, jinja_filters_random},
        {'t', false, jinja_tests_core},
        {'g', false, jinja_globals_core},
        {'f', true, jinja_filters_ansible},
        {'f', true, jinja_filters_data},
        {'f', true, jinja_filters_num},
        {'f', true, jinja_filters_path},
        {'f', true, jinja_filters_regex},
        {'t', true, jinja_tests_ansible},
        {'t', true, jinja_tests_path},
        {'t', true, jinja_tests_regex},
        {'t', true, jinja_tests_version},
        {'f', true, jinja_filters_time},
        {'g', true, jinja_globals_time},
        {'f', true, jinja_filters_ip},
        {'f', true, jinja_filters_query},
        {'f', true, jinja_filters_crypt},
        {'f', true, jinja_filters_nets},
        {'t', true, jinja_tests_nets},
        {'f', true, jinja_filters_general},
        {'f', true, jinja_filters_keys},
        {'f', true, jinja_filters_ini},
        {'f', true, jinja_filters_tree},
        {0, false, NULL},
};
