/*
 * ML-KEM (FIPS 203): decides how numbers modulo 3329 are kept and reduced without a branch, a
 * division or a table look-up that depends on a secret. Algorithm numbers are those of FIPS 203;
 * the hashes are OpenSSL's.
 */
#include "crypto/ml_kem.h"

#include "base/secret.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include <openssl/evp.h>

#define Q 3329
#define DEGREE 256
#define RANK_MAX 4
#define POLYNOMIAL_BYTES 384 /* of 256 numbers in 12 bits */
#define HASH_BYTES 32
#define INVERSE_OF_128 3303
/* Three blocks of SHAKE128: octets for 336 candidates, of which about 273 fit. Once in a hundred
 * times those are fewer than the 256 that must. */
#define TRIPLES_AT_ONCE 168

struct parameters {
    uint8_t rank; /* k */
    uint8_t eta1;
    uint8_t du, dv;
};

/* What comes from a secret and is not one: for the program that proves that no secret decides
 * anything (tests/constant_time). */
#ifdef SAYS_WHAT_IS_PUBLIC
void ml_kem_is_public(const void *bytes, size_t length);
#define is_public ml_kem_is_public
#else
static void is_public(const void *bytes, size_t length)
{
    (void)bytes;
    (void)length;
}
#endif

static const struct parameters sets[] = {
    [ML_KEM_512] = {2, 3, 10, 4},
    [ML_KEM_768] = {3, 2, 10, 4},
    [ML_KEM_1024] = {4, 2, 11, 5},
};

/* Coefficients are always in 0 .. Q-1. */
struct polynomial {
    uint16_t at[DEGREE];
};

struct vector {
    struct polynomial of[RANK_MAX];
};

/* 17 to the power of i, its seven bits reversed (FIPS 203 appendix A). */
static const uint16_t zetas[128] = {
    1,    1729, 2580, 3289, 2642, 630,  1897, 848,  1062, 1919, 193,  797,  2786, 3260, 569,  1746,
    296,  2447, 1339, 1476, 3046, 56,   2240, 1333, 1426, 2094, 535,  2882, 2393, 2879, 1974, 821,
    289,  331,  3253, 1756, 1197, 2304, 2277, 2055, 650,  1977, 2513, 632,  2865, 33,   1320, 1915,
    2319, 1435, 807,  452,  1438, 2868, 1534, 2402, 2647, 2617, 1481, 648,  2474, 3110, 1227, 910,
    17,   2761, 583,  2649, 1637, 723,  2288, 1100, 1409, 2662, 3281, 233,  756,  2156, 3015, 3050,
    1703, 1651, 2789, 1789, 1847, 952,  1461, 2687, 939,  2308, 2437, 2388, 733,  2337, 268,  641,
    1584, 2298, 2037, 3220, 375,  2549, 2090, 1645, 1063, 319,  2773, 757,  2099, 561,  2466, 2594,
    2804, 1092, 403,  1026, 1143, 2150, 2775, 886,  1722, 1212, 1874, 1029, 2110, 2935, 885,  2154,
};

/* ---- arithmetic ---- */

static uint16_t once_less(uint32_t x)
{
    /* x < 2 Q */
    uint32_t less = x - Q;

    return (uint16_t)(less + (Q & (0 - (less >> 31))));
}

/* Barrett: 1290167 is 2^32 / Q, rounded down. */
static uint16_t reduce(uint32_t x)
{
    uint32_t quotient = (uint32_t)(((uint64_t)x * 1290167) >> 32);

    return once_less(x - quotient * Q);
}

static uint16_t plus(uint16_t a, uint16_t b)
{
    return once_less((uint32_t)a + b);
}

static uint16_t minus(uint16_t a, uint16_t b)
{
    return once_less((uint32_t)a + Q - b);
}

static uint16_t times(uint16_t a, uint16_t b)
{
    return reduce((uint32_t)a * b);
}

/* ---- the number-theoretic transform ---- */

/* Here numbers are signed, so that a product is two upper and one lower halves of 16 bits, eight of
 * which are taken at once by every processor. Q * INVERSE_OF_Q is 1 modulo 2^16. */
#define INVERSE_OF_Q (-3327)

/* A factor that many numbers are multiplied with (Montgomery): itself times 2^16, and that times
 * INVERSE_OF_Q. */
struct factor {
    int16_t shifted, helper;
};

static struct factor factor_of(uint16_t x)
{
    uint16_t shifted = reduce((uint32_t)x << 16);

    return (struct factor){(int16_t)shifted, (int16_t)(shifted * INVERSE_OF_Q)};
}

static ALWAYS_INLINE int16_t upper(int16_t a, int16_t b)
{
    return (int16_t)((int32_t)a * b >> 16);
}

/* Between -Q and Q, without either. */
static ALWAYS_INLINE int16_t product(int16_t a, struct factor b)
{
    int16_t helped = (int16_t)(a * b.helper);

    return (int16_t)(upper(a, b.shifted) - upper(helped, Q));
}

/* Barrett: 20159 is 2^26 / Q, rounded up. Between 0 and Q, with both. */
static ALWAYS_INLINE int16_t near(int16_t x)
{
    return (int16_t)(x - (upper(x, 20159) >> 10) * Q);
}

/* `count` is a constant for whoever inlines it: then the loops have no rest. */
static ALWAYS_INLINE void forward(int16_t *restrict low, int16_t *restrict high, size_t count,
                                  struct factor zeta)
{
    for (size_t j = 0; j < count; j++) {
        int16_t t = product(high[j], zeta);

        high[j] = (int16_t)(low[j] - t);
        low[j] = (int16_t)(low[j] + t);
    }
}

static ALWAYS_INLINE void forward_layer(int16_t *f, size_t length)
{
    size_t i = DEGREE / 2 / length;

    for (size_t start = 0; start < DEGREE; start += 2 * length) {
        forward(f + start, f + start + length, length, factor_of(zetas[i++]));
    }
}

/* Algorithm 9. Each layer adds less than Q: eight times that has room in 16 bits. */
static void to_ntt(struct polynomial *polynomial)
{
    int16_t *f = (int16_t *)polynomial->at;

    forward_layer(f, 128);
    forward_layer(f, 64);
    forward_layer(f, 32);
    forward_layer(f, 16);
    forward_layer(f, 8);
    forward_layer(f, 4);
    forward_layer(f, 2);
    for (size_t j = 0; j < DEGREE; j++) {
        int16_t less = (int16_t)(near(f[j]) - Q);

        f[j] = (int16_t)(less + (less >> 15 & Q));
    }
}

static ALWAYS_INLINE void backward(int16_t *restrict low, int16_t *restrict high, size_t count,
                                   struct factor zeta)
{
    for (size_t j = 0; j < count; j++) {
        int16_t t = low[j];

        low[j] = near((int16_t)(t + high[j]));
        high[j] = product((int16_t)(high[j] - t), zeta);
    }
}

static ALWAYS_INLINE void backward_layer(int16_t *f, size_t length)
{
    size_t i = DEGREE / length - 1;

    for (size_t start = 0; start < DEGREE; start += 2 * length) {
        backward(f + start, f + start + length, length, factor_of(zetas[i--]));
    }
}

/* Algorithm 10. */
static void from_ntt(struct polynomial *polynomial)
{
    int16_t *f = (int16_t *)polynomial->at;
    struct factor last = factor_of(INVERSE_OF_128);

    backward_layer(f, 2);
    backward_layer(f, 4);
    backward_layer(f, 8);
    backward_layer(f, 16);
    backward_layer(f, 32);
    backward_layer(f, 64);
    backward_layer(f, 128);
    for (size_t j = 0; j < DEGREE; j++) {
        int16_t x = product(f[j], last);

        f[j] = (int16_t)(x + (x >> 15 & Q));
    }
}

/* ---- products in the NTT domain ---- */

/* Sums of products that are not reduced yet: RANK_MAX times two of less than 2^24 each. */
struct sums {
    uint32_t at[DEGREE];
};

/* A polynomial that many others are multiplied with: itself, and its odd numbers times the gammas
 * of Algorithm 11. */
struct multiplier {
    struct polynomial plain;
    uint16_t turned[DEGREE / 2];
};

static void multiplier_init(struct multiplier *m, const struct polynomial *f)
{
    m->plain = *f;
    for (size_t i = 0; i < DEGREE / 2; i++) {
        uint16_t zeta = zetas[64 + i / 2];

        m->turned[i] = times(f->at[2 * i + 1], i % 2 == 0 ? zeta : (uint16_t)(Q - zeta));
    }
}

/* Algorithms 11 and 12, without their reductions: sums += a * b. */
static void add_product(struct sums *sums, const struct polynomial *a, const struct multiplier *b)
{
    for (size_t i = 0; i < DEGREE / 2; i++) {
        uint32_t x0 = a->at[2 * i], x1 = a->at[2 * i + 1];

        sums->at[2 * i] += x0 * b->plain.at[2 * i] + x1 * b->turned[i];
        sums->at[2 * i + 1] += x0 * b->plain.at[2 * i + 1] + x1 * b->plain.at[2 * i];
    }
}

static void add_sums(struct polynomial *f, const struct sums *sums)
{
    for (size_t i = 0; i < DEGREE; i++) {
        f->at[i] = reduce(f->at[i] + sums->at[i]);
    }
}

static void add(struct polynomial *sum, const struct polynomial *more)
{
    for (size_t i = 0; i < DEGREE; i++) {
        sum->at[i] = plus(sum->at[i], more->at[i]);
    }
}

/* ---- numbers as octets ---- */

/* 4.7: round(2^bits / Q * x) modulo 2^bits. 330282857 is 2^40 / Q, rounded up; exact for all x. */
static uint16_t compress(uint16_t x, unsigned bits)
{
    uint64_t scaled = ((uint64_t)x << bits) + Q / 2;

    return (uint16_t)((scaled * 330282857 >> 40) & ((1u << bits) - 1));
}

/* 4.8. */
static uint16_t decompress(uint16_t y, unsigned bits)
{
    return (uint16_t)(((uint32_t)y * Q + (1u << (bits - 1))) >> bits);
}

/* Algorithm 5: the lowest bit first. 32 * bits octets. */
static void write_numbers(uint8_t *out, const struct polynomial *f, unsigned bits)
{
    uint32_t kept = 0;
    unsigned kept_bits = 0;

    for (size_t i = 0; i < DEGREE; i++) {
        kept |= (uint32_t)f->at[i] << kept_bits;
        for (kept_bits += bits; kept_bits >= 8; kept_bits -= 8) {
            *out++ = (uint8_t)kept;
            kept >>= 8;
        }
    }
}

/* Algorithm 6, without its reduction. */
static void read_numbers(struct polynomial *f, const uint8_t *in, unsigned bits)
{
    uint32_t kept = 0;
    unsigned kept_bits = 0;

    for (size_t i = 0; i < DEGREE; i++) {
        while (kept_bits < bits) {
            kept |= (uint32_t)*in++ << kept_bits;
            kept_bits += 8;
        }
        f->at[i] = (uint16_t)(kept & ((1u << bits) - 1));
        kept >>= bits;
        kept_bits -= bits;
    }
}

static void write_compressed(uint8_t *out, const struct polynomial *f, unsigned bits)
{
    struct polynomial small;

    for (size_t i = 0; i < DEGREE; i++) {
        small.at[i] = compress(f->at[i], bits);
    }
    write_numbers(out, &small, bits);
    wipe(&small, sizeof(small));
}

static void read_compressed(struct polynomial *f, const uint8_t *in, unsigned bits)
{
    read_numbers(f, in, bits);
    for (size_t i = 0; i < DEGREE; i++) {
        f->at[i] = decompress(f->at[i], bits);
    }
}

/* ---- hashes ---- */

enum hash_kind { SHA3_256, SHA3_512, SHAKE128, SHAKE256 };

/* One of OpenSSL's hashes, looked for once in the life of the program, by whatever thread. NULL:
 * not there. */
static const EVP_MD *hash_of(enum hash_kind kind)
{
    static const char *const names[] = {"SHA3-256", "SHA3-512", "SHAKE128", "SHAKE256"};
    static _Atomic(EVP_MD *) found[sizeof(names) / sizeof(names[0])];
    EVP_MD *md = atomic_load(&found[kind]);

    if (md == NULL) {
        EVP_MD *first = NULL;

        md = EVP_MD_fetch(NULL, names[kind], NULL);
        if (md != NULL && !atomic_compare_exchange_strong(&found[kind], &first, md)) {
            EVP_MD_free(md);
            md = first;
        }
    }
    return md;
}

/* Over up to two pieces; `length` is what is wanted of SHAKE. False: no memory. */
static bool hash(enum hash_kind kind, struct slice a, struct slice b, uint8_t *out, size_t length)
{
    const EVP_MD *md = hash_of(kind);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_xof = kind == SHAKE128 || kind == SHAKE256;
    bool ok = md != NULL && context != NULL && EVP_DigestInit_ex(context, md, NULL) == 1 &&
              EVP_DigestUpdate(context, a.data, a.length) == 1 &&
              (b.length == 0 || EVP_DigestUpdate(context, b.data, b.length) == 1) &&
              (is_xof ? EVP_DigestFinalXOF(context, out, length)
                      : EVP_DigestFinal_ex(context, out, NULL)) == 1;

    EVP_MD_CTX_free(context);
    return ok;
}

/* Algorithm 7. The seed is public, so that its time may depend on it. OpenSSL cannot go on with an
 * output once it was taken: where the first part does not do, it is taken again, longer. */
static bool sample_ntt(struct polynomial *f, const uint8_t rho[32], uint8_t column, uint8_t row)
{
    uint8_t place[2] = {column, row};
    uint8_t octets[3 * TRIPLES_AT_ONCE * 4];
    size_t count = 0;

    for (size_t triples = TRIPLES_AT_ONCE; count < DEGREE; triples *= 2) {
        if (triples * 3 > sizeof(octets) ||
            !hash(SHAKE128, (struct slice){rho, 32}, SLICE_OF(place), octets, triples * 3)) {
            return false;
        }
        count = 0;
        for (size_t i = 0; i < triples * 3 && count < DEGREE; i += 3) {
            uint16_t first = (uint16_t)(octets[i] | (octets[i + 1] & 15) << 8);
            uint16_t second = (uint16_t)(octets[i + 1] >> 4 | octets[i + 2] << 4);

            if (first < Q) {
                f->at[count++] = first;
            }
            if (second < Q && count < DEGREE) {
                f->at[count++] = second;
            }
        }
    }
    return true;
}

/* Algorithm 8: the difference of two sums of eta bits each. The sums of a group of numbers, eight
 * with eta 2 and four with eta 3, are taken side by side. */
static ALWAYS_INLINE void sample_from(struct polynomial *f, const uint8_t *octets, unsigned eta)
{
    uint32_t every = eta == 2 ? 0x55555555 : 0x249249;
    uint32_t mask = (1u << eta) - 1;
    size_t group = eta == 2 ? 8 : 4;

    for (size_t i = 0; i < DEGREE; i += group) {
        uint32_t bits = octets[0] | (uint32_t)octets[1] << 8 | (uint32_t)octets[2] << 16;

        bits |= eta == 2 ? (uint32_t)octets[3] << 24 : 0;
        octets += eta == 2 ? 4 : 3;
        uint32_t sums = (bits & every) + (bits >> 1 & every);
        sums += eta == 3 ? bits >> 2 & every : 0;
        for (size_t j = 0; j < group; j++) {
            uint32_t pair = sums >> 2 * eta * j;

            f->at[i + j] = once_less((pair & mask) + Q - (pair >> eta & mask));
        }
    }
}

static bool sample_small(struct polynomial *f, const uint8_t seed[32], uint8_t number, unsigned eta)
{
    uint8_t octets[64 * 3] = {0};
    bool ok =
        hash(SHAKE256, (struct slice){seed, 32}, (struct slice){&number, 1}, octets, 64 * eta);

    /* With its length written, each is a loop of its own. */
    if (eta == 2) {
        sample_from(f, octets, 2);
    } else {
        sample_from(f, octets, 3);
    }
    wipe(octets, sizeof(octets));
    return ok;
}

/* `rank` of them, with the numbers from *number on. */
static bool sample_small_vector(struct vector *v, unsigned rank, const uint8_t seed[32],
                                uint8_t *number, unsigned eta)
{
    for (unsigned i = 0; i < rank; i++) {
        if (!sample_small(&v->of[i], seed, (*number)++, eta)) {
            return false;
        }
    }
    return true;
}

struct multipliers {
    struct multiplier of[RANK_MAX];
};

static void multipliers_init(struct multipliers *m, const struct vector *v, unsigned rank)
{
    for (unsigned i = 0; i < rank; i++) {
        multiplier_init(&m->of[i], &v->of[i]);
    }
}

/* sum += matrix * v, or the transposed matrix. */
static bool add_matrix_product(struct vector *sum, const struct multipliers *v, unsigned rank,
                               const uint8_t rho[32], bool transposed)
{
    struct polynomial entry;
    struct sums sums;
    bool ok = true;

    for (unsigned i = 0; ok && i < rank; i++) {
        memset(&sums, 0, sizeof(sums));
        for (unsigned j = 0; ok && j < rank; j++) {
            ok = sample_ntt(&entry, rho, (uint8_t)(transposed ? i : j),
                            (uint8_t)(transposed ? j : i));
            if (ok) {
                add_product(&sums, &entry, &v->of[j]);
            }
        }
        add_sums(&sum->of[i], &sums);
    }
    wipe(&sums, sizeof(sums));
    return ok;
}

static void vector_to_ntt(struct vector *v, unsigned rank)
{
    for (unsigned i = 0; i < rank; i++) {
        to_ntt(&v->of[i]);
    }
}

/* ---- sizes ---- */

size_t ml_kem_public_bytes(enum ml_kem_set set)
{
    return (size_t)sets[set].rank * POLYNOMIAL_BYTES + 32;
}

size_t ml_kem_private_bytes(enum ml_kem_set set)
{
    return (size_t)sets[set].rank * POLYNOMIAL_BYTES + ml_kem_public_bytes(set) + HASH_BYTES + 32;
}

size_t ml_kem_cipher_bytes(enum ml_kem_set set)
{
    return 32u * (sets[set].rank * sets[set].du + sets[set].dv);
}

/* ---- K-PKE ---- */

/* Algorithm 13: `public_key` and the secret vector in the NTT domain. */
static bool pke_make(const struct parameters *p, const uint8_t d[32], uint8_t *public_key,
                     struct vector *secret_vector)
{
    struct vector sum;
    struct multipliers multipliers;
    uint8_t seeds[64];
    uint8_t number = 0;
    bool ok = hash(SHA3_512, (struct slice){d, 32}, (struct slice){&p->rank, 1}, seeds, 0);

    is_public(seeds, 32); /* a part of the public key */
    ok = ok && sample_small_vector(secret_vector, p->rank, seeds + 32, &number, p->eta1) &&
         sample_small_vector(&sum, p->rank, seeds + 32, &number, p->eta1);

    if (ok) {
        vector_to_ntt(secret_vector, p->rank);
        vector_to_ntt(&sum, p->rank);
        multipliers_init(&multipliers, secret_vector, p->rank);
        ok = add_matrix_product(&sum, &multipliers, p->rank, seeds, false);
        wipe(&multipliers, sizeof(multipliers));
    }
    for (unsigned i = 0; ok && i < p->rank; i++) {
        write_numbers(public_key + i * POLYNOMIAL_BYTES, &sum.of[i], 12);
    }
    if (ok) {
        memcpy(public_key + p->rank * POLYNOMIAL_BYTES, seeds, 32);
    }
    wipe(&sum, sizeof(sum));
    wipe(seeds, sizeof(seeds));
    return ok;
}

/* Algorithm 14. */
static bool pke_encrypt(const struct parameters *p, const uint8_t *public_key,
                        const uint8_t message[32], const uint8_t randomness[32], uint8_t *out)
{
    const uint8_t *rho = public_key + p->rank * POLYNOMIAL_BYTES;
    struct vector y, noise, u = {0};
    struct multipliers multipliers;
    struct polynomial t, v = {0}, more;
    struct sums sums = {0};
    uint8_t number = 0;
    bool ok = sample_small_vector(&y, p->rank, randomness, &number, p->eta1) &&
              sample_small_vector(&noise, p->rank, randomness, &number, 2) &&
              sample_small(&more, randomness, number, 2);

    if (ok) {
        vector_to_ntt(&y, p->rank);
        multipliers_init(&multipliers, &y, p->rank);
        ok = add_matrix_product(&u, &multipliers, p->rank, rho, true);
    }
    for (unsigned i = 0; ok && i < p->rank; i++) {
        from_ntt(&u.of[i]);
        add(&u.of[i], &noise.of[i]);
        write_compressed(out + i * 32 * p->du, &u.of[i], p->du);
        read_numbers(&t, public_key + i * POLYNOMIAL_BYTES, 12);
        add_product(&sums, &t, &multipliers.of[i]);
    }
    if (ok) {
        add_sums(&v, &sums);
        from_ntt(&v);
        add(&v, &more);
        read_compressed(&more, message, 1);
        add(&v, &more);
        write_compressed(out + p->rank * 32 * p->du, &v, p->dv);
    }
    wipe(&multipliers, sizeof(multipliers));
    wipe(&sums, sizeof(sums));
    wipe(&y, sizeof(y));
    wipe(&noise, sizeof(noise));
    wipe(&u, sizeof(u));
    wipe(&v, sizeof(v));
    wipe(&more, sizeof(more));
    return ok;
}

/* Algorithm 15. */
static void pke_decrypt(const struct parameters *p, const uint8_t *secret_vector,
                        const uint8_t *ciphertext, uint8_t message[32])
{
    struct polynomial u, s, product = {0}, v;
    struct multiplier multiplier;
    struct sums sums = {0};

    for (unsigned i = 0; i < p->rank; i++) {
        read_compressed(&u, ciphertext + i * 32 * p->du, p->du);
        to_ntt(&u);
        read_numbers(&s, secret_vector + i * POLYNOMIAL_BYTES, 12);
        multiplier_init(&multiplier, &s);
        add_product(&sums, &u, &multiplier);
    }
    add_sums(&product, &sums);
    from_ntt(&product);
    read_compressed(&v, ciphertext + p->rank * 32 * p->du, p->dv);
    for (size_t i = 0; i < DEGREE; i++) {
        v.at[i] = minus(v.at[i], product.at[i]);
    }
    write_compressed(message, &v, 1);
    wipe(&multiplier, sizeof(multiplier));
    wipe(&sums, sizeof(sums));
    wipe(&s, sizeof(s));
    wipe(&product, sizeof(product));
    wipe(&v, sizeof(v));
}

/* ---- ML-KEM ---- */

bool ml_kem_make(enum ml_kem_set set, const uint8_t seed[ML_KEM_SEED_BYTES], uint8_t *public_key,
                 uint8_t *private_key)
{
    const struct parameters *p = &sets[set];
    size_t vector_bytes = (size_t)p->rank * POLYNOMIAL_BYTES;
    size_t public_bytes = ml_kem_public_bytes(set);
    uint8_t own[ML_KEM_PUBLIC_BYTES_MAX];
    struct vector secret_vector;
    bool ok = pke_make(p, seed, own, &secret_vector);

    if (ok && public_key != NULL) {
        memcpy(public_key, own, public_bytes);
    }
    if (ok && private_key != NULL) {
        uint8_t *behind = private_key + vector_bytes + public_bytes;

        for (unsigned i = 0; i < p->rank; i++) {
            write_numbers(private_key + i * POLYNOMIAL_BYTES, &secret_vector.of[i], 12);
        }
        memcpy(private_key + vector_bytes, own, public_bytes);
        ok = hash(SHA3_256, (struct slice){own, public_bytes}, (struct slice){0}, behind, 0);
        memcpy(behind + HASH_BYTES, seed + 32, 32);
    }
    wipe(&secret_vector, sizeof(secret_vector));
    return ok;
}

/* 7.2, the modulus check. */
static bool numbers_are_reduced(const struct parameters *p, const uint8_t *public_key)
{
    struct polynomial f;

    for (unsigned i = 0; i < p->rank; i++) {
        read_numbers(&f, public_key + i * POLYNOMIAL_BYTES, 12);
        for (size_t j = 0; j < DEGREE; j++) {
            if (f.at[j] >= Q) {
                return false;
            }
        }
    }
    return true;
}

bool ml_kem_encapsulate(enum ml_kem_set set, struct slice public_key,
                        const uint8_t message[ML_KEM_MESSAGE_BYTES], uint8_t *ciphertext,
                        uint8_t shared[ML_KEM_SHARED_BYTES])
{
    const struct parameters *p = &sets[set];
    uint8_t digest[HASH_BYTES];
    uint8_t both[64]; /* the shared secret, and what is random in the ciphertext */

    if (public_key.length != ml_kem_public_bytes(set) || !numbers_are_reduced(p, public_key.data)) {
        return false;
    }
    bool ok = hash(SHA3_256, public_key, (struct slice){0}, digest, 0) &&
              hash(SHA3_512, (struct slice){message, 32}, SLICE_OF(digest), both, 0) &&
              pke_encrypt(p, public_key.data, message, both + ML_KEM_SHARED_BYTES, ciphertext);
    memcpy(shared, both, ML_KEM_SHARED_BYTES);
    wipe(both, sizeof(both));
    return ok;
}

bool ml_kem_decapsulate(enum ml_kem_set set, struct slice private_key, struct slice ciphertext,
                        uint8_t shared[ML_KEM_SHARED_BYTES])
{
    const struct parameters *p = &sets[set];
    size_t cipher_bytes = ml_kem_cipher_bytes(set);
    struct slice public_key = {private_key.data + (size_t)p->rank * POLYNOMIAL_BYTES,
                               ml_kem_public_bytes(set)};
    uint8_t message[32], digest[HASH_BYTES], both[64], rejected[ML_KEM_SHARED_BYTES];
    uint8_t again[ML_KEM_CIPHER_BYTES_MAX];

    if (private_key.length != ml_kem_private_bytes(set) || ciphertext.length != cipher_bytes) {
        return false;
    }
    const uint8_t *kept = public_key.data + public_key.length; /* H(ek) | z */
    if (!hash(SHA3_256, public_key, (struct slice){0}, digest, 0) ||
        memcmp(digest, kept, HASH_BYTES) != 0) {
        return false;
    }
    pke_decrypt(p, private_key.data, ciphertext.data, message);
    bool ok = hash(SHA3_512, SLICE_OF(message), SLICE_OF(digest), both, 0) &&
              hash(SHAKE256, (struct slice){kept + HASH_BYTES, 32}, ciphertext, rejected,
                   ML_KEM_SHARED_BYTES) &&
              pke_encrypt(p, public_key.data, message, both + ML_KEM_SHARED_BYTES, again);
    /* Nobody may see which of the two it is. */
    uint8_t differs = 0;
    for (size_t i = 0; i < cipher_bytes; i++) {
        differs |= again[i] ^ ciphertext.data[i];
    }
    uint8_t mask = (uint8_t)(0 - (uint8_t)((uint32_t)(differs + 0xff) >> 8));
    for (size_t i = 0; i < ML_KEM_SHARED_BYTES; i++) {
        shared[i] = (uint8_t)((both[i] & ~mask) | (rejected[i] & mask));
    }
    wipe(message, sizeof(message));
    wipe(both, sizeof(both));
    wipe(rejected, sizeof(rejected));
    wipe(again, sizeof(again));
    return ok;
}
