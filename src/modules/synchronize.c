/* synchronize - runs the host's rsync between two places of the host, or to and from an rsync server. */
#include "modules/argv.h"
#include "modules/words.h"

static const char marker[] = "<<CHANGED>>";

static void add_if(struct argv *c, const char *arg, const char *option)
{
	if (mod_bool(c->m, arg))
		argv_add(c, option);
}

/* Parts of --archive, which can be taken out of it, or be asked for without it. */
static void add_parts(struct argv *c)
{
	static const char *const parts[] = {"recursive", "links", "perms", "times", "owner", "group"};
	bool archive = mod_bool(c->m, "archive");
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (mod_has(c->m, parts[i]) && mod_bool(c->m, parts[i]) != archive)
			argv_addf(c, "--%s%s", archive ? "no-" : "", parts[i]);
}

static bool add_links(struct argv *c)
{
	struct mod_ctx *m = c->m;
	const struct val *list = mod_list(m, "link_dest");
	const char *parent = fs_dirname(m->a, mod_arg(m, "dest"));
	if (val_len(list))
		argv_add2(c, "-H", "-vv");
	VAL_EACH (i, list) {
		const char *path = mod_expand(m, val_get_strz(val_at(list, i)));
		if (strncmp(parent, path, strlen(path)) == 0)
			return mod_fail(m,
			                "Hardlinking into a subdirectory of the source would cause "
			                "recursion. %s and %s",
			                parent, mod_arg(m, "dest"));
		argv_addf(c, "--link-dest=%s", path);
	}
	return true;
}

static bool add_options(struct argv *c)
{
	struct mod_ctx *m = c->m;
	if (mod_bool(m, "delay_updates"))
		argv_add2(c, "--delay-updates", "-F");
	add_if(c, "compress", "--compress");
	if (mod_int(m, "rsync_timeout", 0))
		argv_addf(c, "--timeout=%lld", (long long)mod_int(m, "rsync_timeout", 0));
	if (m->check)
		argv_add(c, "--dry-run");
	add_if(c, "delete", "--delete-after");
	add_if(c, "existing_only", "--existing");
	add_if(c, "checksum", "--checksum");
	add_if(c, "copy_links", "--copy-links");
	add_if(c, "archive", "--archive");
	add_parts(c);
	add_if(c, "dirs", "--dirs");
	if (mod_has(m, "rsync_path"))
		argv_addf(c, "--rsync-path=%s", mod_arg(m, "rsync_path"));
	argv_add_list(c, mod_list(m, "rsync_opts"));
	add_if(c, "partial", "--partial");
	return add_links(c);
}

/* host:path needs a remote shell, host::module and rsync:// do not. */
static bool is_remote(const char *place)
{
	const char *colon = strchr(place, ':');
	return colon && !memchr(place, '/', (size_t)(colon - place)) && colon[1] != ':' &&
	       strncmp(place, "rsync://", 8) != 0;
}

static bool run(struct mod_ctx *m)
{
	const char *src = mod_arg(m, "src"), *dest = mod_arg(m, "dest"), *rsync = argv_need(m, "rsync");
	struct argv c = {.m = m};
	struct mod_out o;
	if (!rsync)
		return false;
	if (is_remote(src) || is_remote(dest))
		return mod_fail(
		        m,
		        "%s is on another host: rsync over ssh is not done here; copy, unarchive or an rsync "
		        "server can be used",
		        is_remote(src) ? src : dest);
	src = mod_expand(m, src);
	dest = mod_expand(m, dest);
	argv_add(&c, rsync);
	if (!add_options(&c))
		return false;
	argv_addf(&c, "--out-format=%s%%i %%n%%L", marker);
	argv_add2(&c, src, dest);
	if (!argv_run(&c, &o))
		return false;
	mod_sets(m, "cmd", argv_text(&c));
	mod_seti(m, "rc", o.rc);
	if (o.rc != 0)
		return mod_fail(m, "%.*s", STR_FMT(o.err));
	struct buf b = {0};
	struct val *lines = val_list(m->a);
	/* With links to another copy, what is there already is told, too: it begins with a dot. */
	bool linked = val_len(mod_list(m, "link_dest")), changed = false, same = false;
	for (struct str rest = o.out; rest.p && rest.n;) {
		struct str line = str_split(&rest, '\n');
		bool marked = str_starts(line, marker);
		if (marked)
			line = str_from(line, strlen(marker));
		changed = changed || marked;
		same = same || (marked && str_starts(line, "."));
		buf_printf(&b, "%.*s\n", STR_FMT(line));
		if (line.n)
			val_push(lines, val_str(m->a, line));
	}
	if (linked ? !same : changed)
		mod_changed(m);
	mod_setstr(m, "msg", buf_str(&b));
	mod_set(m, "stdout_lines", lines);
	if (m->diff) {
		struct val *d = val_map(m->a);
		val_set(d, "prepared", val_str(m->a, buf_str(&b)));
		mod_set(m, "diff", d);
	}
	buf_free(&b);
	return true;
}

static const struct mod_arg args[] = {
        {"src", MT_STR, MA_REQUIRED, .doc = "From where."},
        {"dest", MT_STR, MA_REQUIRED, .doc = "To where."},
        {"mode", MT_STR, .dflt = "push", .choices = "pull|push",
         .doc = "Of a copy within the host it makes no difference."},
        {"archive", MT_BOOL, .dflt = "true", .doc = "Everything as it is."},
        {"recursive", MT_BOOL, .doc = "Directories with what is in them."},
        {"links", MT_BOOL, .doc = "Symbolic links as such."},
        {"perms", MT_BOOL, .doc = "With their rights."},
        {"times", MT_BOOL, .doc = "With their times."},
        {"owner", MT_BOOL, .doc = "With their owners."},
        {"group", MT_BOOL, .doc = "With their groups."},
        {"delete", MT_BOOL, .dflt = "false", .doc = "Remove what is not at the source."},
        {"checksum", MT_BOOL, .dflt = "false", .doc = "Compare the content, not size and time."},
        {"compress", MT_BOOL, .dflt = "true", .doc = "Compress what is sent."},
        {"existing_only", MT_BOOL, .dflt = "false", .doc = "Nothing that is not there."},
        {"dirs", MT_BOOL, .dflt = "false", .doc = "Directories without what is in them."},
        {"copy_links", MT_BOOL, .dflt = "false", .doc = "What symbolic links lead to."},
        {"partial", MT_BOOL, .dflt = "false", .doc = "Keep what was sent in part."},
        {"delay_updates", MT_BOOL, .dflt = "true", .doc = "All files change at the end."},
        {"link_dest", MT_LIST, .doc = "Link to what is the same there."},
        {"rsync_path", MT_STR, .doc = "rsync on the other side."},
        {"rsync_timeout", MT_INT, .dflt = "0", .doc = "Seconds without data."},
        {"rsync_opts", MT_LIST, .doc = "More options."},
        {"dest_port", MT_INT, .doc = "Of ssh: not used."},
        {"private_key", MT_PATH, .doc = "Of ssh: not used."},
        {"set_remote_user", MT_BOOL, .dflt = "true", .doc = "Of ssh: not used."},
        {"use_ssh_args", MT_BOOL, .dflt = "false", .doc = "Of ssh: not used."},
        {"ssh_connection_multiplexing", MT_BOOL, .dflt = "false", .doc = "Of ssh: not used."},
        {"verify_host", MT_BOOL, .dflt = "false", .doc = "Of ssh: not used."},
        {NULL},
};

const struct module module_row_synchronize = {
        .name = "synchronize",
        .from = "ansible.posix",
        .doc = "Copies trees with the host's rsync: within the host, delegated to it, or with an rsync "
               "server.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .run = run,
};
