/* hash - MD5, SHA-1 and SHA-2 for the filters; small inputs, no library. */
#include "jinja/hash.h"

struct block_hash {
	uint64_t len;
	unsigned char block[128];
	size_t fill, size; /* of a block */
	void (*step)(void *state, const unsigned char *block);
	void *state;
};

static uint32_t rotl(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static uint32_t rotr(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static uint64_t rotr64(uint64_t x, unsigned n)
{
	return x >> n | x << (64 - n);
}

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t be64(const unsigned char *p)
{
	return (uint64_t)be32(p) << 32 | be32(p + 4);
}

static void feed(struct block_hash *h, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (h->len += n; n > 0; n--) {
		h->block[h->fill++] = *p++;
		if (h->fill == h->size) {
			h->step(h->state, h->block);
			h->fill = 0;
		}
	}
}

/* The 0x80, the zeros and the length in bits at the end of the last block. */
static void finish(struct block_hash *h, bool little)
{
	uint64_t bits = h->len * 8;
	size_t room = h->size == 128 ? 16 : 8;
	unsigned char tail[16] = {0};

	feed(h, "\x80", 1);
	while (h->fill != h->size - room)
		feed(h, "", 1);
	for (size_t i = 0; i < 8; i++)
		tail[little ? i : room - 1 - i] = (unsigned char)(bits >> (8 * i));
	feed(h, tail, room);
}

/* ---- MD5 */

static void md5_step(void *state, const unsigned char *p)
{
	static const uint32_t k[64] = {0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a,
	                               0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
	                               0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
	                               0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	                               0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
	                               0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
	                               0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
	                               0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	                               0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
	                               0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
	                               0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
	static const uint8_t rot[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
	uint32_t *s = state, a = s[0], b = s[1], c = s[2], d = s[3], w[16];

	for (size_t i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 | (uint32_t)p[4 * i + 2] << 16 |
		       (uint32_t)p[4 * i + 3] << 24;
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t f, g;

		switch (i / 16) {
		case 0: f = (b & c) | (~b & d), g = i; break;
		case 1: f = (d & b) | (~d & c), g = (5 * i + 1) % 16; break;
		case 2: f = b ^ c ^ d, g = (3 * i + 5) % 16; break;
		default: f = c ^ (b | ~d), g = 7 * i % 16; break;
		}
		f += a + k[i] + w[g];
		a = d;
		d = c;
		c = b;
		b += rotl(f, rot[i / 16][i % 4]);
	}
	s[0] += a;
	s[1] += b;
	s[2] += c;
	s[3] += d;
}

/* ---- SHA-1 */

static void sha1_step(void *state, const unsigned char *p)
{
	uint32_t *s = state, w[80], a = s[0], b = s[1], c = s[2], d = s[3], e = s[4];

	for (size_t i = 0; i < 80; i++)
		w[i] = i < 16 ? be32(p + 4 * i) : rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (size_t i = 0; i < 80; i++) {
		uint32_t f, k;

		switch (i / 20) {
		case 0: f = (b & c) | (~b & d), k = 0x5a827999; break;
		case 1: f = b ^ c ^ d, k = 0x6ed9eba1; break;
		case 2: f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc; break;
		default: f = b ^ c ^ d, k = 0xca62c1d6; break;
		}
		f += rotl(a, 5) + e + k + w[i];
		e = d;
		d = c;
		c = rotl(b, 30);
		b = a;
		a = f;
	}
	s[0] += a;
	s[1] += b;
	s[2] += c;
	s[3] += d;
	s[4] += e;
}

/* ---- SHA-2. The constants of SHA-256 are the upper halves of the first 64 of SHA-512. */

static const uint64_t sha2_k[80] = {
        0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
        0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
        0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
        0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
        0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
        0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
        0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
        0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
        0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
        0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
        0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
        0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
        0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
        0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
        0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
        0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817};

static void sha256_step(void *state, const unsigned char *p)
{
	uint32_t *s = state, w[64], v[8];

	for (size_t i = 0; i < 64; i++) {
		if (i < 16) {
			w[i] = be32(p + 4 * i);
			continue;
		}
		w[i] = w[i - 16] + w[i - 7] + (rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3) +
		       (rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10);
	}
	for (size_t i = 0; i < 8; i++)
		v[i] = s[i];
	for (size_t i = 0; i < 64; i++) {
		uint32_t t1 = v[7] + (rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25)) +
		              ((v[4] & v[5]) ^ (~v[4] & v[6])) + (uint32_t)(sha2_k[i] >> 32) + w[i];
		uint32_t t2 = (rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22)) +
		              ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		for (size_t j = 7; j > 0; j--)
			v[j] = v[j - 1];
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (size_t i = 0; i < 8; i++)
		s[i] += v[i];
}

static void sha512_step(void *state, const unsigned char *p)
{
	uint64_t *s = state, w[80], v[8];

	for (size_t i = 0; i < 80; i++) {
		if (i < 16) {
			w[i] = be64(p + 8 * i);
			continue;
		}
		w[i] = w[i - 16] + w[i - 7] + (rotr64(w[i - 15], 1) ^ rotr64(w[i - 15], 8) ^ w[i - 15] >> 7) +
		       (rotr64(w[i - 2], 19) ^ rotr64(w[i - 2], 61) ^ w[i - 2] >> 6);
	}
	for (size_t i = 0; i < 8; i++)
		v[i] = s[i];
	for (size_t i = 0; i < 80; i++) {
		uint64_t t1 = v[7] + (rotr64(v[4], 14) ^ rotr64(v[4], 18) ^ rotr64(v[4], 41)) +
		              ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha2_k[i] + w[i];
		uint64_t t2 = (rotr64(v[0], 28) ^ rotr64(v[0], 34) ^ rotr64(v[0], 39)) +
		              ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		for (size_t j = 7; j > 0; j--)
			v[j] = v[j - 1];
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (size_t i = 0; i < 8; i++)
		s[i] += v[i];
}

static const struct {
	const char *name;
	size_t size, word, block;
	uint64_t init[8];
	void (*step)(void *, const unsigned char *);
} algorithms[] = {
        {"md5", 16, 4, 64, {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}, md5_step},
        {"sha1", 20, 4, 64, {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}, sha1_step},
        {"sha224",
         28,
         4,
         64,
         {0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4},
         sha256_step},
        {"sha256",
         32,
         4,
         64,
         {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
         sha256_step},
        {"sha384",
         48,
         8,
         128,
         {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939, 0x67332667ffc00b31,
          0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4},
         sha512_step},
        {"sha512",
         64,
         8,
         128,
         {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1,
          0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179},
         sha512_step},
};

size_t hash_bytes(struct str algorithm, struct str data, unsigned char out[HASH_MAX])
{
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++) {
		uint64_t s64[8];
		uint32_t s32[8];
		bool wide = algorithms[i].word == 8, little = i == 0;
		struct block_hash h = {
		        .size = algorithms[i].block,
		        .step = algorithms[i].step,
		        .state = wide ? (void *)s64 : (void *)s32,
		};

		if (algorithm.n != strlen(algorithms[i].name) ||
		    strncasecmp(algorithm.p, algorithms[i].name, algorithm.n) != 0)
			continue;
		for (size_t j = 0; j < 8; j++) {
			s64[j] = algorithms[i].init[j];
			s32[j] = (uint32_t)algorithms[i].init[j];
		}
		feed(&h, data.p, data.n);
		finish(&h, little);
		for (size_t j = 0; j < algorithms[i].size; j++) {
			size_t w = j / algorithms[i].word, b = j % algorithms[i].word;
			size_t shift = 8 * (little ? b : algorithms[i].word - 1 - b);

			out[j] = (unsigned char)(wide ? s64[w] >> shift : s32[w] >> shift);
		}
		return algorithms[i].size;
	}
	return 0;
}
