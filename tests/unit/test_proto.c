/* Frames: whole, in pieces, and impossible. */
#include "unit.h"
#include "agent/proto.h"

static void test_round_trip_in_pieces(void **state)
{
	static const char *const payloads[] = {"", "{}", "{\"module\":\"ping\"}"};
	struct buf out = {0}, in = {0};
	struct err e = {0};
	size_t seen = 0;
	(void)state;
	for (size_t i = 0; i < LENGTH(payloads); i++)
		proto_encode(&out, PROTO_TASK, (uint32_t)(i + 0x01020304), str_c(payloads[i]));
	for (size_t i = 0; i < out.n; i++) {
		struct proto_frame f;
		buf_add(&in, out.p + i, 1);
		int rc = proto_decode(&in, &f, &e);
		assert_true(rc >= 0);
		if (!rc)
			continue;
		assert_int_equal(f.type, PROTO_TASK);
		assert_int_equal(f.id, seen + 0x01020304);
		assert_true(str_eqc(f.payload, payloads[seen]));
		buf_consume(&in, proto_frame_size(&f));
		seen++;
	}
	assert_int_equal(seen, LENGTH(payloads));
	assert_int_equal(in.n, 0);
	buf_free(&in);
	buf_free(&out);
}

static void test_impossible(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} rows[] = {
	        {"\0\0\0\0", 4},           /* shorter than its own head */
	        {"\0\0\0\4\2\0\0\0", 8},   /* the same, with more behind it */
	        {"\4\0\0\1", 4},           /* one byte over the limit */
	        {"\377\377\377\377\2", 5}, /* far over it */
	        {"\0\0\0\5\0", 5},         /* type 0 */
	        {"\0\0\0\5\143", 5},       /* type 99, known before the frame is whole */
	};
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct buf in = {0};
		struct err e = {0};
		struct proto_frame f;
		buf_add(&in, rows[i].bytes, rows[i].n);
		assert_int_equal(proto_decode(&in, &f, &e), -1);
		assert_true(err_is(&e));
		err_clear(&e);
		buf_free(&in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_round_trip_in_pieces),
	        cmocka_unit_test(test_impossible),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
