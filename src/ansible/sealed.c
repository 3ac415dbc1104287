#include "ansible/sealed.h"
#include "ansible/scope.h"
#include "base/fs.h"
#include "base/log.h"
#include "modules/vault.h"

bool sealed_read(const struct vault *v, struct arena *a, const char *path, struct str *ret, bool *ret_sealed,
                 struct err *err)
{
	struct buf b;
	buf_init(&b, FS_READ_MAX);
	bool ok = fs_read(path, &b, err);
	if (ok)
		*ret = buf_take(&b, a);
	buf_free(&b);
	bool sealed = ok && vault_is_sealed(*ret);
	if (ret_sealed)
		*ret_sealed = sealed;
	if (!sealed)
		return ok;
	if (!vault_open(v, a, *ret, ret, err))
		return err_wrap(err, ORIGIN_NONE, "%s", path);
	log_secret(*ret);
	return true;
}

struct val *sealed_value(void *ctx, struct arena *a, struct str sealed, struct origin at)
{
	struct err err = {0};
	struct str text;
	if (vault_open(ctx, a, sealed, &text, &err)) {
		log_secret(text);
		return val_at_origin(a, val_mark_unsafe(a, val_mark_secret(a, val_str(a, text))), at);
	}
	struct buf b = {0};
	buf_printf(&b, "{{ undef(hint=\"%s%s%s\") }}", err_msg(&err), err.hint ? "; " : "",
	           err.hint ? err.hint : "");
	struct val *v = val_at_origin(a, val_str(a, buf_str(&b)), at);
	buf_free(&b);
	err_clear(&err);
	return v;
}

static void tell_log(const struct val *v)
{
	if (val_is_str(v)) {
		if (!val_needs_template(v))
			log_secret(val_get_str(v));
	} else if (val_is_list(v)) {
		VAL_EACH (i, v)
			tell_log(val_at(v, i));
	} else if (val_is_map(v)) {
		MAP_EACH (i, v)
			tell_log(val_value_at(v, i));
	}
}

struct val *sealed_vars(struct arena *a, struct val *vars)
{
	tell_log(vars);
	return val_mark_secret(a, vars);
}
