#include "modules/module.h"
#include "modules/users.h"

/* LINE cut at SEP, or at white space when SEP is empty. */
static struct val *split_line(struct mod_ctx *m, struct str line, const char *sep)
{
	struct val *list = val_list(m->a);
	size_t n = strlen(sep), at = 0;
	while (n) {
		ptrdiff_t cut = str_find(line, str_c(sep), at);
		size_t end = cut < 0 ? line.n : (size_t)cut;
		val_push(list, val_str(m->a, str_n(line.p + at, end - at)));
		if (cut < 0)
			return list;
		at = end + n;
	}
	while (at < line.n) {
		size_t start = at;
		while (at < line.n && line.p[at] != ' ' && line.p[at] != '\t')
			at++;
		if (at > start)
			val_push(list, val_str(m->a, str_n(line.p + start, at - start)));
		at++;
	}
	return list;
}

static const char *separator(const struct mod_ctx *m)
{
	static const char *const colon[] = {"passwd", "shadow", "group", "gshadow"};
	if (mod_has(m, "split"))
		return mod_arg(m, "split");
	for (size_t i = 0; i < sizeof(colon) / sizeof(*colon); i++)
		if (mod_is(m, "database", colon[i]))
			return ":";
	return "";
}

/* The fields after the name; a name found more than once has a list of them. */
static void add_entry(struct mod_ctx *m, struct val *db, struct val *seen, struct val *fields)
{
	if (!val_len(fields))
		return;
	struct val *key = val_at(fields, 0), *old = val_getk(db, key), *count = val_getk(seen, key);
	val_remove_at(fields, 0);
	if (!old) {
		val_setk(db, key, fields);
		val_setk(seen, key, val_int(m->a, 1));
		return;
	}
	if (val_get_int(count) == 1) {
		struct val *many = val_list(m->a);
		val_push(many, old);
		val_setk(db, key, many);
		val_setk(seen, key, val_int(m->a, 2));
		old = many;
	}
	val_push(old, fields);
}

static bool run(struct mod_ctx *m)
{
	const char *database = mod_arg(m, "database"), *key = mod_arg(m, "key");
	struct val *facts = val_map(m->a), *db = val_map(m->a), *seen = val_map(m->a);
	int rc;
	if (key && !*key)
		key = NULL;
	const char *const *lines = users_getent(m->a, database, key, mod_arg(m, "service"), &rc);
	val_set(facts, arena_printf(m->a, "getent_%s", database), db);
	switch (rc) {
	case 0:
		for (; *lines; lines++)
			add_entry(m, db, seen, split_line(m, str_c(*lines), separator(m)));
		mod_facts(m, facts);
		return true;
	case 1: return mod_fail(m, "Missing arguments, or database unknown.");
	case 2:
		if (mod_bool(m, "fail_key") || !key)
			return mod_fail(m, "One or more supplied key could not be found in the database.");
		val_set(db, key, val_null());
		mod_facts(m, facts);
		return mod_done(m, false, "One or more supplied key could not be found in the database.");
	case 3: return mod_fail(m, "Enumeration not supported on this database.");
	case 127: return mod_fail(m, "Failed to find required executable \"getent\"");
	default: return mod_fail(m, "Unexpected failure!");
	}
}

static const struct mod_arg args[] = {
        {"database", MT_STR, MA_REQUIRED, .doc = "Which one: passwd, group, hosts ..."},
        {"key", MT_STR, .dflt = "", .doc = "The entry; all of them when empty."},
        {"service", MT_STR, .doc = "Ask this service only."},
        {"split", MT_STR, .doc = "What separates the fields of a line."},
        {"fail_key", MT_BOOL, .dflt = "true", .doc = "Fail when there is no such entry."},
        {NULL},
};

const struct module module_row_getent = {
        .name = "getent",
        .from = "ansible.builtin",
        .doc = "Gives entries of the host's databases as facts.",
        .args = args,
        .flags = MOD_CHECK | MOD_READ_ONLY,
        .run = run,
};
