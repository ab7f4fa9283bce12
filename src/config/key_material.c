/* Decides how keys that stand in secrets are written, and which of them no algorithm may have. */
#include "config/key_material.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define DES_KEY_BYTES 8
#define LOOKS_LIKE_DIGITS 16 /* eight octets, the shortest key that there is */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice trimmed(struct slice text)
{
    while (text.length > 0 && is_blank(text.data[text.length - 1])) {
        text.length--;
    }
    while (text.length > 0 && is_blank(text.data[0])) {
        text.data++;
        text.length--;
    }
    return text;
}

/* The digits without the '_' that part them. */
static bool decode_hex(struct slice text, uint8_t *bytes, size_t *length)
{
    uint8_t digits[2 * SECRET_BYTES_MAX];
    size_t count = 0;
    bool good = true;

    for (size_t i = 0; good && i < text.length; i++) {
        if (text.data[i] != '_') {
            good = count < sizeof(digits);
            digits[good ? count++ : 0] = text.data[i];
        }
    }
    good = good && hex_parse((struct slice){digits, count}, bytes, SECRET_BYTES_MAX, length);
    wipe(digits, sizeof(digits));
    return good;
}

bool key_material_decode(struct slice text, struct secret *out, char why[KEY_MATERIAL_WHY_BYTES])
{
    struct slice inner = trimmed(text);
    uint8_t bytes[SECRET_BYTES_MAX];
    size_t length = 0;
    bool has_mark = inner.length >= 2 && inner.data[0] == '0';
    bool is_hex = has_mark && (inner.data[1] == 'x' || inner.data[1] == 'X');
    bool is_marked_base64 = has_mark && (inner.data[1] == 's' || inner.data[1] == 'S');

    why[0] = '\0';
    if (is_hex || is_marked_base64) {
        inner.data += 2;
        inner.length -= 2;
    }
    bool good = is_hex ? decode_hex(inner, bytes, &length)
                       : base64_parse(inner, bytes, sizeof(bytes), &length);

    good = good && length > 0;
    if (!good) {
        snprintf(why, KEY_MATERIAL_WHY_BYTES,
                 is_hex ? "is not written in pairs of hexadecimal digits behind 0x"
                        : "is neither base64 nor 0x with hexadecimal digits: a key is octets");
    } else if (!secret_set(out, (struct slice){bytes, length})) {
        snprintf(why, KEY_MATERIAL_WHY_BYTES, "finds no memory");
        good = false;
    }
    wipe(bytes, sizeof(bytes));
    return good;
}

/* ---- may it be a key? ---- */

size_t key_material_bytes(const struct transform *t)
{
    const struct algorithm *a = algorithm_find(t->type, t->id);

    if (a == NULL) {
        return 0;
    }
    if (t->type == TRANSFORM_INTEGRITY) {
        return a->key_bytes;
    }
    unsigned bits = a->key_bits_on_wire ? t->key_bits : a->key_bits[0];

    return bits / 8 + a->salt_bytes;
}

/* Without the bit of parity, which DES does not use. */
static uint8_t des_bits(uint8_t octet)
{
    return octet & 0xfe;
}

static bool des_equal(const uint8_t *a, const uint8_t *b)
{
    uint8_t difference = 0;

    for (size_t i = 0; i < DES_KEY_BYTES; i++) {
        difference |= des_bits(a[i] ^ b[i]);
    }
    return difference == 0;
}

/*
 * RFC 2405 4.1, FIPS 74: the sixteen weak and semi-weak keys. In each, both halves of the key
 * register turn without changing, or between two states: the octets alternate between two of four
 * values in the first half of the key, and between the two that belong to them in the second.
 */
static bool des_is_weak(const uint8_t key[DES_KEY_BYTES])
{
    static const uint8_t first[4] = {0x01, 0x1f, 0xe0, 0xfe};
    static const uint8_t second[4] = {0x01, 0x0e, 0xf1, 0xfe};

    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            const uint8_t weak[DES_KEY_BYTES] = {first[i],  first[j],  first[i],  first[j],
                                                 second[i], second[j], second[i], second[j]};
            if (des_equal(weak, key)) {
                return true;
            }
        }
    }
    return false;
}

/* RFC 2451 2.3: of the keys of 3DES only these need be refused, the weak ones of DES need not. */
static bool triple_des_fits(const uint8_t key[3 * DES_KEY_BYTES], char why[KEY_MATERIAL_WHY_BYTES])
{
    if (des_equal(key, key + DES_KEY_BYTES) ||
        des_equal(key + DES_KEY_BYTES, key + (size_t)2 * DES_KEY_BYTES)) {
        snprintf(why, KEY_MATERIAL_WHY_BYTES,
                 "has two neighbouring thirds that are equal: 3DES with it is DES (RFC 2451 2.3). "
                 "Make another one");
        return false;
    }
    return true;
}

static bool des_fits(const uint8_t key[DES_KEY_BYTES], char why[KEY_MATERIAL_WHY_BYTES])
{
    if (des_is_weak(key)) {
        snprintf(why, KEY_MATERIAL_WHY_BYTES,
                 "is one of the sixteen weak keys of DES (RFC 2405 4.1). Make another one");
        return false;
    }
    return true;
}

bool key_material_fits(const struct transform *t, struct slice key,
                       char why[KEY_MATERIAL_WHY_BYTES])
{
    size_t wanted = key_material_bytes(t);
    char title[64];

    why[0] = '\0';
    if (key.length != wanted) {
        transform_title(t, title, sizeof(title));
        snprintf(why, KEY_MATERIAL_WHY_BYTES, "is %zu octet%s; %s keys have %zu", key.length,
                 key.length == 1 ? "" : "s", title, wanted);
        return false;
    }
    if (t->type != TRANSFORM_ENCRYPTION) {
        return true;
    }
    return t->id == ENCRYPTION_DES    ? des_fits(key.data, why)
           : t->id == ENCRYPTION_3DES ? triple_des_fits(key.data, why)
                                      : true;
}

/* ---- both ---- */

static bool is_digit_of_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Base64 of so many octets looks so by chance about once in 2^24 times, and then fits as it is. */
static bool looks_hexadecimal(struct slice text)
{
    struct slice inner = trimmed(text);

    for (size_t i = 0; i < inner.length; i++) {
        if (!is_digit_of_hex(inner.data[i])) {
            return false;
        }
    }
    return inner.length >= LOOKS_LIKE_DIGITS && inner.length % 2 == 0;
}

bool key_material_take(const struct transform *t, struct slice text, struct secret *out,
                       char why[KEY_MATERIAL_WHY_BYTES])
{
    if (key_material_decode(text, out, why) && key_material_fits(t, secret_slice(out), why)) {
        return true;
    }
    if (looks_hexadecimal(text)) {
        size_t used = strlen(why);
        snprintf(why + used, KEY_MATERIAL_WHY_BYTES - used,
                 ". The text looks hexadecimal: write 0x before it");
    }
    secret_wipe(out);
    return false;
}
