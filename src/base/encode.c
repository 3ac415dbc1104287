#include "base/str.h"

static const char b64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void buf_base64(struct buf *b, struct str in)
{
	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t v = (uint32_t)(unsigned char)in.p[i] << 16;

		if (left > 1)
			v |= (uint32_t)(unsigned char)in.p[i + 1] << 8;
		if (left > 2)
			v |= (unsigned char)in.p[i + 2];
		char q[4] = {b64_digits[v >> 18], b64_digits[v >> 12 & 63],
		             left > 1 ? b64_digits[v >> 6 & 63] : '=', left > 2 ? b64_digits[v & 63] : '='};

		buf_add(b, q, 4);
	}
}

static int b64_value(char c)
{
	const char *q = c ? strchr(b64_digits, c) : NULL;

	return q ? (int)(q - b64_digits) : -1;
}

bool buf_unbase64(struct buf *b, struct str in)
{
	uint32_t v = 0;
	unsigned bits = 0, pad = 0, digits = 0;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == ' ' || (c >= '\t' && c <= '\r'))
			continue;
		if (c == '=') {
			pad++;
			continue;
		}
		int d = b64_value(c);

		if (d < 0 || pad)
			return false;
		v = v << 6 | (uint32_t)d;
		digits++;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_addc(b, (char)(v >> bits & 0xff));
		}
	}
	return pad <= 2 && digits % 4 != 1 && (pad == 0 || (digits + pad) % 4 == 0);
}

void buf_percent(struct buf *b, struct str in)
{
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		             (c && strchr("-._~", c));

		if (plain)
			buf_addc(b, (char)c);
		else
			buf_printf(b, "%%%02X", c);
	}
}
