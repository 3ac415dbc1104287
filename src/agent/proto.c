#include "agent/proto.h"

enum { HEAD = 4, FIXED = 5 }; /* the length itself; the type and the id that it counts */

static void put32(unsigned char *p, uint32_t n)
{
	p[0] = (unsigned char)(n >> 24);
	p[1] = (unsigned char)(n >> 16);
	p[2] = (unsigned char)(n >> 8);
	p[3] = (unsigned char)n;
}

static uint32_t get32(const char *z)
{
	const unsigned char *p = (const unsigned char *)z;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void proto_encode(struct buf *out, enum proto_type type, uint32_t id, struct str payload)
{
	unsigned char head[HEAD + FIXED];
	put32(head, (uint32_t)(payload.n + FIXED));
	head[HEAD] = (unsigned char)type;
	put32(head + HEAD + 1, id);
	buf_add(out, head, sizeof(head));
	buf_addstr(out, payload);
}

int proto_decode(const struct buf *in, struct proto_frame *ret, struct err *err)
{
	if (in->n < HEAD)
		return 0;
	uint32_t len = get32(in->p);
	if (len < FIXED || len > PROTO_FRAME_MAX) {
		err_set(err, ERR_REMOTE, ORIGIN_NONE, "a frame of %lu bytes is not possible",
		        (unsigned long)len);
		return -1;
	}
	if (in->n > HEAD) {
		unsigned char type = (unsigned char)in->p[HEAD];
		if (type < PROTO_HELLO || type > PROTO_LOST) {
			err_set(err, ERR_REMOTE, ORIGIN_NONE, "unknown frame type %u", type);
			return -1;
		}
	}
	if (in->n - HEAD < len)
		return 0;
	*ret = (struct proto_frame){
	        .type = (enum proto_type)(unsigned char)in->p[HEAD],
	        .id = get32(in->p + HEAD + 1),
	        .payload = {in->p + HEAD + FIXED, len - FIXED},
	};
	return 1;
}

size_t proto_frame_size(const struct proto_frame *f)
{
	return HEAD + FIXED + f->payload.n;
}
