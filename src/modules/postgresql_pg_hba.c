/* postgresql_pg_hba - who may connect to a PostgreSQL server, from where and how: the rules of its
 * pg_hba.conf. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>
#include "modules/module.h"

#define METHODS "trust|reject|md5|password|gss|sspi|krb5|ident|peer|ldap|radius|cert|pam|scram-sha-256"
#define TYPES "local|host|hostssl|hostnossl|hostgssenc|hostnogssenc"

enum { TYPE, DB, USR, SRC, MASK, METHOD, OPTIONS, COLUMNS };
static const char *const columns[] = {"type", "db", "usr", "src", "mask", "method", "options"};

/* The arguments that make a rule, and what they are when nobody says. */
enum { ADDRESS, COMMENT, CONTYPE, DATABASES, HOW, NETMASK, MORE, STATE, USERS, GIVEN };
static const char *const given[][2] = {
        {"address", "samehost"}, {"comment", NULL},    {"contype", NULL},
        {"databases", "all"},    {"method", "md5"},    {"netmask", NULL},
        {"options", NULL},       {"state", "present"}, {"users", "all"},
};

/* A rule is a map: its columns, "comment", and of those in the file "line" and "key". */
struct hba {
	struct mod_ctx *m;
	struct str text;
	struct val *rules, *before; /* before: NULL when there is no file */
	struct val *added, *removed, *msgs;
	struct buf comments;
	const char *why;
};

struct net {
	uint8_t raw[16];
	unsigned bits, prefix;
};

static void *bad(struct hba *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void *bad(struct hba *h, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	h->why = arena_vprintf(h->m->a, fmt, ap);
	va_end(ap);
	return NULL;
}

static unsigned address(const char *z, uint8_t *raw)
{
	return inet_pton(AF_INET, z, raw) == 1 ? 32 : inet_pton(AF_INET6, z, raw) == 1 ? 128 : 0;
}

static bool bit(const uint8_t *raw, unsigned i)
{
	return raw[i / 8] >> (7 - i % 8) & 1;
}

/* How many bits of a mask are set; -1 when one follows on a bit that is not (zeros in front do not count). */
static int mask_prefix(const uint8_t *raw, unsigned bits)
{
	int n = 0;
	bool ended = false;
	for (unsigned i = 0; i < bits; i++) {
		if (bit(raw, i) && ended)
			return -1;
		n += bit(raw, i);
		ended = n && !bit(raw, i);
	}
	return n;
}

/* "10.0.0.0/8", "10.0.0.1", "10.0.0.0/255.0.0.0": a network, bits of hosts cleared. */
static bool net_parse(struct arena *a, const char *z, struct net *ret)
{
	const char *slash = strchr(z, '/');
	uint8_t mask[16];
	int64_t prefix;
	ret->bits = address(slash ? arena_strndup(a, z, (size_t)(slash - z)) : z, ret->raw);
	if (!slash)
		prefix = ret->bits;
	else if (slash[1] == '+' || slash[1] == '-')
		return false;
	else if (!str_int(str_c(slash + 1), &prefix))
		prefix = ret->bits == 32 && address(slash + 1, mask) == 32 ? mask_prefix(mask, 32) : -1;
	if (!ret->bits || prefix < 0 || prefix > ret->bits)
		return false;
	ret->prefix = (unsigned)prefix;
	for (unsigned i = ret->prefix; i < ret->bits; i++)
		ret->raw[i / 8] &= (uint8_t) ~(128 >> i % 8);
	return true;
}

static const char *net_text(struct arena *a, const struct net *n)
{
	char z[INET6_ADDRSTRLEN];
	inet_ntop(n->bits == 32 ? AF_INET : AF_INET6, n->raw, z, sizeof(z));
	const uint8_t *tail = n->raw + 12;
	char *colon = strrchr(z, ':');
	if (!colon || !strchr(colon, '.'))
		return arena_printf(a, "%s/%u", z, n->prefix);
	colon[1] = '\0';
	return arena_printf(a, "%s%x:%x/%u", z, tail[0] << 8 | tail[1], tail[2] << 8 | tail[3], n->prefix);
}

/* The one way to write SRC: a network's, else itself. */
static const char *canonical(struct arena *a, const char *src)
{
	struct net n;
	return net_parse(a, src, &n) ? net_text(a, &n) : src;
}

static const char *masked(struct hba *h, const char *src, const char *mask)
{
	uint8_t raw[16];
	struct net n;
	if (!address(src, raw))
		return bad(h, "Mask was specified, but source \"%s\" is not valid ip", src);
	unsigned bits = address(mask, raw);
	if (!bits)
		return bad(h, "Mask %s seems to be invalid", mask);
	int prefix = mask_prefix(raw, bits);
	if (prefix < 0)
		return bad(h, "IP mask %s seems invalid (binary value has 1 after 0)", mask);
	const char *z = arena_printf(h->m->a, "%s/%d", src, prefix);
	return net_parse(h->m->a, z, &n) ? net_text(h->m->a, &n) : bad(h, "%s is not valid address range", z);
}

static const char *choices_text(struct arena *a, const char *choices)
{
	struct buf b = {0};
	for (; *choices; choices++)
		if (*choices == '|')
			buf_adds(&b, "', '");
		else
			buf_addc(&b, *choices);
	const char *ret = buf_take(&b, a).p;
	buf_free(&b);
	return ret;
}

/* Whether Z is one word: blanks stand within quotes only, and these are closed. */
static bool one_word(const char *z)
{
	bool within = false;
	for (; *z && (within || !isspace((unsigned char)*z)); z++)
		within = within != (*z == '"');
	return !*z && !within;
}

static struct val *rule_new(struct hba *h, const char *const *cols, const char *comment)
{
	struct arena *a = h->m->a;
	struct val *r = val_map(a);
	const char *src = cols[SRC], *mask = cols[MASK];
	if (comment && *comment)
		val_set(r, "comment", val_strz(a, comment));
	for (size_t i = 0; i < COLUMNS; i++)
		if (cols[i] && *cols[i])
			val_set(r, columns[i], val_strz(a, cols[i]));
	if (!spec_choice(METHODS, str_c(cols[METHOD])))
		return bad(h, "invalid method %s (should be one of '%s').", cols[METHOD],
		           choices_text(a, METHODS));
	if (!spec_choice(TYPES, str_c(cols[TYPE])))
		return bad(h, "invalid connection type %s (should be one of '%s').", cols[TYPE],
		           choices_text(a, TYPES));
	for (size_t i = DB; i <= USR; i++)
		if (!cols[i] || !*cols[i] || !one_word(cols[i]))
			return bad(h, "'%s' is no %s: what has blanks stands in double quotes", cols[i],
			           columns[i]);
	val_del(r, STR("mask"));
	if (strcmp(cols[TYPE], "local") == 0) {
		val_del(r, STR("src"));
		return r;
	}
	if (!src || !*src)
		return bad(h, "Missing src in rule for %s", cols[USR]);
	if (!strchr(src, '/'))
		src = mask && *mask ? masked(h, src, mask) : canonical(a, src);
	if (!src)
		return NULL;
	val_set(r, "src", val_strz(a, src));
	return r;
}

static const char *field(const struct val *r, size_t column)
{
	return val_map_strz(r, columns[column], "");
}

static void put_columns(struct val *r, const char *name, const char *cols, struct buf *b, struct arena *a)
{
	buf_clear(b);
	for (; *cols; cols++)
		if (*field(r, (size_t)(*cols - '0')))
			buf_printf(b, "%s%s", b->n ? "\t" : "", field(r, (size_t)(*cols - '0')));
	val_set(r, name, val_str(a, buf_str(b)));
}

/* Its line, and what two rules for the same connections have in common. */
static size_t rule_find(struct hba *h, struct val *r)
{
	struct buf b = {0};
	struct arena *a = h->m->a;
	size_t at = 0;
	put_columns(r, "line", "0123456", &b, a);
	put_columns(r, "key", "12", &b, a);
	val_set(r, "key",
	        val_strf(a, "%s\t%s", *field(r, SRC) ? canonical(a, field(r, SRC)) : "local",
	                 val_map_strz(r, "key", "")));
	buf_free(&b);
	while (at < val_len(h->rules) && !val_equal(val_get(val_at(h->rules, at), "key"), val_get(r, "key")))
		at++;
	return at;
}

static bool same_comment(const struct val *a, const struct val *b)
{
	return strcmp(val_map_strz(a, "comment", ""), val_map_strz(b, "comment", "")) == 0;
}

static void rule_add(struct hba *h, struct val *r)
{
	size_t at = rule_find(h, r);
	const struct val *old = val_at(h->rules, at);
	if (old && val_equal(val_get(old, "line"), val_get(r, "line")) && same_comment(old, r))
		return;
	if (old)
		val_set_at(h->rules, at, r);
	else
		val_push(h->rules, r);
	val_push(h->added, val_get(r, "line"));
}

static void rule_remove(struct hba *h, struct val *r)
{
	size_t at = rule_find(h, r);
	if (at == val_len(h->rules))
		return;
	val_remove_at(h->rules, at);
	val_push(h->removed, val_get(r, "line"));
}

/* ---- the file */

/* The words of a line until a comment; quotes stay. */
static bool line_words(struct hba *h, struct str line, struct val *words, const char **comment)
{
	struct arena *a = h->m->a;
	size_t i = 0;
	*comment = NULL;
	while (i < line.n) {
		size_t from = i;
		bool within = false;
		for (; i < line.n && (within || (line.p[i] != '#' && !isspace((unsigned char)line.p[i])));
		     i++)
			within = within != (line.p[i] == '"');
		if (within)
			return bad(h, "Rule %.*s has a quote that is not closed.", STR_FMT(line));
		if (i > from)
			val_push(words, val_str(a, str_n(line.p + from, i - from)));
		if (i < line.n && line.p[i] == '#') {
			*comment = arena_strndup(a, line.p + i + 1, line.n - i - 1);
			return true;
		}
		i++;
	}
	return true;
}

static const char *word(const struct val *words, size_t i)
{
	return i < val_len(words) ? val_get_strz(val_at(words, i)) : "";
}

static bool line_rule(struct hba *h, struct str line, const struct val *w, const char *comment)
{
	const char *cols[COLUMNS] = {word(w, 0), word(w, 1), word(w, 2), "", "", "", ""};
	size_t k = 3;
	if (val_len(w) < 4)
		return bad(h, "Rule %.*s has too few columns.", STR_FMT(line));
	if (!spec_choice(TYPES, str_c(cols[TYPE])))
		return bad(h, "Rule %.*s has unknown type: %s.", STR_FMT(line), cols[TYPE]);
	if (strcmp(cols[TYPE], "local") != 0) {
		cols[SRC] = word(w, k++);
		if (spec_choice(METHODS, str_c(word(w, 5))))
			cols[MASK] = word(w, k++);
	}
	cols[METHOD] = word(w, k++);
	if (!spec_choice(METHODS, str_c(cols[METHOD])))
		return bad(h, "Rule %.*s of '%s' type has invalid auth-method '%s'", STR_FMT(line),
		           cols[TYPE], cols[METHOD]);
	for (; k < val_len(w); k++)
		cols[OPTIONS] =
		        arena_printf(h->m->a, "%s%s%s", cols[OPTIONS], *cols[OPTIONS] ? " " : "", word(w, k));
	struct val *r = rule_new(h, cols, comment);
	if (r)
		rule_add(h, r);
	return r;
}

static bool read_line(struct hba *h, struct str line)
{
	struct val *w = val_list(h->m->a);
	const char *comment;
	if (!line_words(h, line, w, &comment))
		return false;
	bool stays = val_len(w) && mod_bool(h->m, "keep_comments_at_rules");
	if (comment && *comment && !stays)
		buf_printf(&h->comments, "%s#%s", h->comments.n ? "\n" : "", comment);
	return !val_len(w) || line_rule(h, line, w, stays ? comment : NULL);
}

static bool hba_read(struct hba *h)
{
	struct arena *a = h->m->a;
	struct str rest = h->text;
	h->rules = val_list(a);
	while (rest.p && !h->why) {
		struct str line = str_trim(str_split(&rest, '\n'));
		while (str_ends(line, "\\") && rest.p) {
			struct str next = str_trim(str_split(&rest, '\n'));
			line = str_c(arena_printf(a, "%.*s %.*s", (int)line.n - 1, line.p, STR_FMT(next)));
		}
		read_line(h, line);
	}
	h->before = h->text.p ? val_shallow(a, h->rules) : NULL;
	h->added = val_list(a);
	return !h->why;
}

/* The smaller comes first: what is said of fewer hosts, databases, users. */
static int source_weight(struct arena *a, const struct val *r)
{
	static const struct {
		const char *name;
		int weight;
	} words[] = {{"all", 0}, {"samehost", 129}, {"samenet", 96}};
	const char *src = field(r, SRC);
	struct net n;
	if (!*src)
		return 130;
	if (net_parse(a, src, &n))
		return (int)(n.prefix * (128 / n.bits));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(src, words[i].name) == 0)
			return words[i].weight;
	return *src == '.' ? 64 : 128;
}

static int db_weight(const struct val *r)
{
	const char *db = field(r, DB);
	int n = 1;
	if (strcmp(db, "all") == 0)
		return 100000;
	if (strcmp(db, "replication") == 0)
		return 0;
	for (; *db; db++)
		n += *db == ',';
	return n;
}

static bool comes_before(struct arena *a, const struct val *x, const struct val *y)
{
	int d = source_weight(a, y) - source_weight(a, x);
	if (!d)
		d = db_weight(x) - db_weight(y);
	if (!d)
		d = (strcmp(field(x, USR), "all") == 0) - (strcmp(field(y, USR), "all") == 0);
	if (!d && *field(x, SRC) && *field(y, SRC))
		d = strcmp(field(x, SRC), field(y, SRC));
	else if (!d)
		d = strcmp(val_map_strz(x, "line", ""), val_map_strz(y, "line", ""));
	return d < 0;
}

static void hba_sort(struct hba *h)
{
	struct val *sorted = val_list(h->m->a);
	VAL_EACH (i, h->rules) {
		size_t at = val_len(sorted);
		while (at && comes_before(h->m->a, val_at(h->rules, i), val_at(sorted, at - 1)))
			at--;
		val_insert(sorted, at, val_at(h->rules, i));
	}
	h->rules = sorted;
}

static bool hba_changed(struct hba *h)
{
	if (!h->before || val_len(h->before) != val_len(h->rules))
		return val_len(h->rules) || (h->before && val_len(h->before));
	VAL_EACH (i, h->before) {
		struct val *r = val_shallow(h->m->a, val_at(h->before, i));
		size_t at = rule_find(h, r);
		if (!val_at(h->rules, at) || !val_equal(val_at(h->rules, at), r))
			return true;
	}
	return false;
}

static bool back_up(struct hba *h)
{
	struct mod_ctx *m = h->m;
	struct err e = {0};
	struct stat st;
	char path[] = "/tmp/pg_hbaXXXXXX";
	const char *to = mod_has(m, "backup_file") ? mod_arg(m, "backup_file") : "";
	if (!mod_bool(m, "backup") || !h->before)
		return true;
	if (!*to) {
		int fd = mkstemp(path);
		if (fd < 0)
			return mod_fail_sys(m, "cannot make %s", path);
		close(fd);
		to = path;
	}
	if (stat(mod_arg(m, "dest"), &st) < 0 || !fs_write(to, h->text, st.st_mode & 07777, &e))
		return mod_fail_err(m, &e);
	mod_sets(m, "backup_file", to);
	return true;
}

static bool hba_write(struct hba *h)
{
	struct mod_ctx *m = h->m;
	const char *dest = mod_arg(m, "dest");
	struct val *args = val_shallow(m->a, m->args);
	struct buf *b = &h->comments;
	if (!h->before && !mod_bool(m, "create"))
		return mod_fail(m,
		                "Error writing file:\npg_hba file '%s' doesn't exist. Use create option to "
		                "autocreate.",
		                dest);
	if (!back_up(h))
		return false;
	buf_addc(b, '\n');
	VAL_EACH (i, h->rules) {
		const struct val *r = val_at(h->rules, i);
		const char *comment = val_map_strz(r, "comment", NULL);
		buf_printf(b, "%s%s%s\n", val_map_strz(r, "line", ""), comment ? "\t#" : "",
		           comment ? comment : "");
	}
	val_del(args, STR("backup")); /* it has been made */
	m->args = args;
	return mod_write(m, dest, buf_str(b)) && mod_file_args(m, dest);
}

/* ---- what was asked for */

static const char *text_of(struct hba *h, const struct val *v)
{
	return v && !val_is_null(v) ? val_text(v, h->m->a).p : "";
}

/* One for each database and user of it. */
static bool apply(struct hba *h, const char *const *g)
{
	struct arena *a = h->m->a;
	bool present = strcmp(g[STATE], "present") == 0;
	struct str dbs = str_c(g[DATABASES]);
	while (dbs.p) {
		struct str db = str_split(&dbs, ','), users = str_c(g[USERS]);
		while (users.p) {
			struct str user = str_split(&users, ',');
			const char *cols[COLUMNS] = {g[CONTYPE],
			                             arena_strndup(a, db.p, db.n),
			                             arena_strndup(a, user.p, user.n),
			                             g[ADDRESS],
			                             g[NETMASK],
			                             g[HOW],
			                             g[MORE]};
			struct val *r = rule_new(h, cols, g[COMMENT]);
			if (!r)
				return mod_fail(h->m, "Error modifying rules:\n%s", h->why);
			struct buf b = {0};
			val_repr(r, &b);
			val_push(h->msgs, val_strf(a, "%s rule %s", present ? "Adding" : "Removing", b.p));
			buf_free(&b);
			(present ? rule_add : rule_remove)(h, r);
		}
	}
	return true;
}

/* With DFLTS, the task's own arguments stand in for what RULE does not say. */
static bool apply_map(struct hba *h, const struct val *rule, const struct val *dflts)
{
	const char *g[GIVEN];
	for (size_t i = 0; i < GIVEN; i++) {
		const struct val *v = val_get(rule, given[i][0]);
		v = v || i ? v : val_get(rule, "source");
		v = v || i ? v : val_get(rule, "src");
		v = v || !dflts ? v : val_get(dflts, given[i][0]);
		g[i] = v || !given[i][1] ? text_of(h, v) : given[i][1];
	}
	return !*g[CONTYPE] || apply(h, g);
}

static bool conflicts(struct hba *h)
{
	const char *names = "";
	for (size_t i = 0; i < GIVEN; i++) {
		const char *z = mod_has(h->m, given[i][0]) ? mod_arg(h->m, given[i][0]) : NULL;
		if (z && (!given[i][1] || strcmp(z, given[i][1]) != 0))
			names = arena_printf(h->m->a, "%s%s'%s'", names, *names ? ", " : "", given[i][0]);
	}
	return *names &&
	       !mod_fail(h->m,
	                 "conflict: either argument \"rules_behavior\" needs to be changed or \"rules\" "
	                 "must not be set or [%s] must not be set",
	                 names);
}

static bool apply_rules(struct hba *h)
{
	struct mod_ctx *m = h->m;
	const struct val *rules = mod_list(m, "rules");
	bool combine = mod_is(m, "rules_behavior", "combine");
	if (!mod_has(m, "rules"))
		return apply_map(h, m->args, NULL);
	if (!combine && conflicts(h))
		return false;
	VAL_EACH (i, rules) {
		const struct val *r = val_at(rules, i);
		if (!!val_get(r, "address") + !!val_get(r, "source") + !!val_get(r, "src") > 1)
			return mod_fail(
			        m,
			        "rule number %zu of the \"rules\" argument uses ambiguous settings: address, "
			        "source and src are aliases, only one is allowed",
			        i);
		if (!apply_map(h, r, combine ? m->args : NULL))
			return false;
	}
	return true;
}

static void show(struct hba *h)
{
	struct val *list = val_list(h->m->a);
	VAL_EACH (i, h->rules) {
		struct val *r = val_shallow(h->m->a, val_at(h->rules, i));
		val_del(r, STR("line"));
		val_del(r, STR("key"));
		val_push(list, r);
	}
	mod_set(h->m, "pg_hba", list);
	mod_set(h->m, "msgs", h->msgs);
}

static bool run(struct mod_ctx *m)
{
	struct arena *a = m->a;
	const char *dest = mod_arg(m, "dest");
	struct hba h = {.m = m, .added = val_list(a), .removed = val_list(a), .msgs = val_list(a)};
	bool ok = mod_read_maybe(m, dest, &h.text);
	if (ok && !hba_read(&h))
		ok = mod_fail(m, "Error reading file:\n%s", h.why);
	if (ok && mod_bool(m, "overwrite"))
		h.rules = val_list(a);
	ok = ok && apply_rules(&h);
	if (ok)
		hba_sort(&h);
	if (ok && hba_changed(&h)) {
		mod_changed(m);
		val_push(h.msgs, val_strz(a, "Changed"));
		mod_diff_attr(m, "file", val_strz(a, dest), val_strz(a, dest));
		mod_diff_attr(m, "pg_hba", h.removed, h.added);
		if (!m->check) {
			val_push(h.msgs, val_strz(a, "Writing"));
			ok = hba_write(&h);
		}
	}
	if (ok)
		show(&h);
	buf_free(&h.comments);
	return ok;
}

static const struct mod_arg args[] = {
        {"dest", MT_PATH, MA_REQUIRED, .doc = "The file."},
        {"contype", MT_STR, .choices = TYPES,
         .doc = "Of which connections; without it the rules are only told."},
        {"databases", MT_STR, .dflt = "all", .doc = "To which databases, parted by commas."},
        {"users", MT_STR, .dflt = "all", .doc = "Of whom, parted by commas."},
        {"address", MT_STR, .dflt = "samehost", .aliases = "source|src",
         .doc = "From where: an address, a network, a name, all, samehost, samenet."},
        {"netmask", MT_STR, .doc = "The mask of an address."},
        {"method", MT_STR, .dflt = "md5", .choices = METHODS, .doc = "How they prove who they are."},
        {"options", MT_STR, .doc = "Options of the method."},
        {"comment", MT_STR, .doc = "A comment behind the rule."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present",
         .doc = "Whether it should be there."},
        {"rules", MT_LIST, .elem = MT_DICT, .doc = "Many rules at once, each with the arguments above."},
        {"rules_behavior", MT_STR, .dflt = "conflict", .choices = "combine|conflict",
         .doc = "Whether the arguments beside rules are an error or its defaults."},
        {"keep_comments_at_rules", MT_BOOL, .dflt = "false", .doc = "Comments stay behind their rules."},
        {"overwrite", MT_BOOL, .dflt = "false", .doc = "All other rules go."},
        {"create", MT_BOOL, .dflt = "false", .doc = "Make the file when it is missing."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a copy of what was there."},
        {"backup_file", MT_STR, .doc = "Where, if not in a new file below /tmp."},
        {"order", MT_STR, .dflt = "sdu", .choices = "sdu|sud|dsu|dus|usd|uds", .doc = "Accepted; it is sdu."},
        {NULL},
};

const struct module module_row_postgresql_pg_hba = {
        .name = "postgresql_pg_hba",
        .from = "community.postgresql",
        .doc = "Rules of a PostgreSQL server's pg_hba.conf, the narrower ones first.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        .run = run,
};
