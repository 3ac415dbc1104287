/* Prints the inputs table for tools/tables: name, type, default, prefer, flow, doc, one row a line, tabs
 * between. */
#include "github/inputs.h"
#include <stdio.h>

int main(void)
{
	size_t n;
	const struct input *row = input_rows(&n);

	for (; n; n--, row++)
		printf("%s\t%s\t%s\t%s\t%d\t%s\n", row->name, input_type_name(row->type), row->dflt,
		       row->prefer ? row->prefer : "", !(row->flags & INPUT_NO_FLOW), row->doc);
	return 0;
}
