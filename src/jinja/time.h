/*
 * time - arithmetic of the points in time that to_datetime and now() give.
 */
#ifndef JINJA_TIME_H
#define JINJA_TIME_H
#include "base/val.h"

/* X - Y or X + Y of points in time and spans; false when they are none. */
bool py_time_binary(struct arena *a, bool minus, const struct val *x, const struct val *y, struct val **ret);
/* Their order; false when they have none. */
bool py_time_compare(const struct val *x, const struct val *y, int *ret);
#endif
