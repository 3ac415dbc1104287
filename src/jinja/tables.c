/* tables - which tables of filters, tests and globals there are. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

extern const struct jinja_func jinja_filters_seq[], jinja_filters_str[], jinja_tests_core[],
        jinja_globals_core[];

const struct jinja_table jinja_tables[] = {
        {'f', false, jinja_filters_seq},
        {'f', false, jinja_filters_str},
        {'t', false, jinja_tests_core},
        {'g', false, jinja_globals_core},
        {0, false, NULL},
};
