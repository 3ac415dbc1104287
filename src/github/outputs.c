#include "github/outputs.h"
#include "base/log.h"
#include "base/val.h"
#include "github/commands.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define SUMMARY_MAX ((size_t)1 << 20)
#define SUMMARY_CUT "\n\n_The rest was left out: a summary has at most 1 MiB._\n"

static const char *path_of(const struct val *env, const char *name)
{
	const struct val *v = val_get(env, name);

	return v && val_is_str(v) && val_len(v) ? val_get_strz(v) : NULL;
}

void gh_files_init(struct gh_files *files, struct gh *gh, const struct val *env)
{
	*files = (struct gh_files){
	        .gh = gh,
	        .output = path_of(env, "GITHUB_OUTPUT"),
	        .env = path_of(env, "GITHUB_ENV"),
	        .state = path_of(env, "GITHUB_STATE"),
	        .summary = path_of(env, "GITHUB_STEP_SUMMARY"),
	};
}

/* The runner reads these files after the step: they are appended to, never replaced. */
static bool append(const char *path, struct str data, struct err *err)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_sys(err, ERR_REMOTE, "cannot open %s", path);
	while (data.n) {
		ssize_t n = write(fd, data.p, data.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, ERR_REMOTE, "cannot write %s", path);
			close(fd);
			return false;
		}
		data = str_n(data.p + n, data.n - (size_t)n);
	}
	if (close(fd) < 0)
		return err_sys(err, ERR_REMOTE, "cannot write %s", path);
	return true;
}

/* name<<DELIMITER, value, DELIMITER: a value cannot know the delimiter, so it cannot end itself. */
static void add_entry(struct buf *b, const char *name, struct str value)
{
	unsigned char bytes[16];
	char delimiter[sizeof(bytes) * 2 + 1];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		abort();
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(delimiter + i * 2, 3, "%02x", bytes[i]);
	buf_printf(b, "%s<<nante-%s\n", name, delimiter);
	buf_addstr(b, value);
	buf_printf(b, "\nnante-%s\n", delimiter);
}

static bool leave(const struct gh_files *files, const char *path, const char *what, const char *name,
                  struct str value, bool shown, struct err *err)
{
	struct buf b = {0};
	bool good = true;

	if (path) {
		add_entry(&b, name, value);
		good = append(path, buf_str(&b), err) || err_wrap(err, ORIGIN_NONE, "%s %s", what, name);
	} else if (shown) {
		buf_printf(&b, "%s %s: ", what, name);
		buf_addstr(&b, value);
		buf_addc(&b, '\n');
		files->gh->sink(files->gh->ctx, buf_str(&b));
	}
	buf_burn(&b);
	return good;
}

static bool leave_redacted(const struct gh_files *files, const char *path, const char *what, const char *name,
                           struct str value, bool shown, struct err *err)
{
	struct buf clean = {0};
	bool good;

	log_redact(value, &clean);
	good = leave(files, path, what, name, buf_str(&clean), shown, err);
	buf_free(&clean);
	return good;
}

bool gh_output(struct gh_files *files, const char *name, struct str value, struct err *err)
{
	return leave_redacted(files, files->output, "output", name, value, true, err);
}

bool gh_output_secret(struct gh_files *files, const char *name, struct str value, struct err *err)
{
	return leave(files, files->output, "output", name, value, false, err);
}

bool gh_env(struct gh_files *files, const char *name, struct str value, struct err *err)
{
	return leave_redacted(files, files->env, "environment", name, value, false, err);
}

bool gh_state(struct gh_files *files, const char *name, struct str value, struct err *err)
{
	return leave_redacted(files, files->state, "state", name, value, false, err);
}

/* As many whole lines of S as fit into MAX bytes. */
static struct str whole_lines(struct str s, size_t max)
{
	while (max > 0 && s.p[max - 1] != '\n')
		max--;
	return str_n(s.p, max);
}

bool gh_summary(struct gh_files *files, struct str markdown, struct err *err)
{
	struct buf clean = {0};
	size_t room = SUMMARY_MAX - sizeof(SUMMARY_CUT) - files->summary_bytes;
	bool good = true;

	if (files->summary_full)
		return true;
	log_redact(markdown, &clean);
	if (clean.n > room) {
		clean.n = whole_lines(buf_str(&clean), room).n;
		buf_adds(&clean, SUMMARY_CUT);
		files->summary_full = true;
	}
	files->summary_bytes += clean.n;
	if (files->summary)
		good = append(files->summary, buf_str(&clean), err) ||
		       err_wrap(err, ORIGIN_NONE, "job summary");
	else
		files->gh->sink(files->gh->ctx, buf_str(&clean));
	buf_free(&clean);
	return good;
}
