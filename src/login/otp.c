/* Decides which one-time passwords are right, and how their secrets are written. */
#include "login/otp.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/prf.h"

static const struct {
    uint16_t prf;
    uint8_t bytes;
    const char *name, *uri;
} hashes[] = {
    [OTP_SHA1] = {PRF_HMAC_SHA1, 20, "sha1", "SHA1"},
    [OTP_SHA256] = {PRF_HMAC_SHA2_256, 32, "sha256", "SHA256"},
    [OTP_SHA512] = {PRF_HMAC_SHA2_512, 64, "sha512", "SHA512"},
};

const char *otp_hash_name(enum otp_hash hash)
{
    return hashes[hash].name;
}

struct otp otp_new(enum otp_kind kind, struct random_source *random)
{
    struct otp otp = {.kind = (uint8_t)kind,
                      .hash = OTP_SHA1,
                      .digits = 6,
                      .secret_length = OTP_SECRET_BYTES,
                      .period_s = 30};

    random_fill(random, otp.secret, OTP_SECRET_BYTES);
    return otp;
}

/* RFC 4226 5.3: four octets from where the last half octet says, without their sign, as decimal
 * digits from the right. */
bool otp_code(const struct otp *otp, uint64_t counter, char out[OTP_DIGITS_MAX + 1])
{
    uint8_t moving[8];
    uint8_t mac[PRF_OUTPUT_BYTES_MAX];
    struct slice part = SLICE_OF(moving);

    put_u64(moving, counter);
    if (!prf(hashes[otp->hash].prf, (struct slice){otp->secret, otp->secret_length}, &part, 1,
             mac)) {
        return false;
    }
    uint32_t value = get_u32(mac + (mac[hashes[otp->hash].bytes - 1] & 15)) & 0x7fffffff;

    for (size_t i = otp->digits; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    out[otp->digits] = '\0';
    wipe(mac, sizeof(mac));
    return true;
}

bool otp_match(const struct otp *otp, struct slice code, uint64_t next, uint64_t wall_s,
               uint64_t *used)
{
    uint64_t step = otp->kind == OTP_TOTP ? wall_s / otp->period_s : 0;
    uint64_t first =
        otp->kind == OTP_TOTP ? step - (step < OTP_TIME_WINDOW ? step : OTP_TIME_WINDOW) : next;
    unsigned count = otp->kind == OTP_TOTP ? 2 * OTP_TIME_WINDOW + 1 : OTP_COUNTER_WINDOW;
    bool found = false;

    for (unsigned i = 0; i < count; i++) {
        char expected[OTP_DIGITS_MAX + 1];
        bool made = otp_code(otp, first + i, expected);
        bool right = made && code.length == otp->digits &&
                     equal_in_constant_time(code.data, (const uint8_t *)expected, otp->digits);

        wipe(expected, sizeof(expected));
        /* RFC 6238 5.2: a code that was taken once is not taken again, nor are older ones. */
        if (right && !found && first + i >= next) {
            *used = first + i;
            found = true;
        }
    }
    return found;
}

/* ---- as text ---- */

static int base32_value(uint8_t c)
{
    if (c >= 'a' && c <= 'z') {
        return c - 'a';
    }
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

bool otp_base32_parse(struct slice text, uint8_t *out, size_t capacity, size_t *length)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t written = 0;

    for (size_t i = 0; i < text.length; i++) {
        int value = base32_value(text.data[i]);

        if (value < 0) {
            return false;
        }
        bits = bits << 5 | (uint32_t)value;
        count += 5;
        if (count < 8) {
            continue;
        }
        if (written == capacity) {
            return false;
        }
        count -= 8;
        out[written++] = (uint8_t)(bits >> count);
        bits &= (1u << count) - 1;
    }
    *length = written;
    /* What is left over is less than a digit, and zero. */
    return count < 5 && bits == 0;
}

void otp_base32_add(struct text *t, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t i = 0; i < bytes.length; i++) {
        bits = bits << 8 | bytes.data[i];
        for (count += 8; count >= 5; count -= 5) {
            text_addf(t, "%c", digits[bits >> (count - 5) & 31]);
        }
        bits &= (1u << count) - 1;
    }
    if (count > 0) {
        text_addf(t, "%c", digits[bits << (5 - count) & 31]);
    }
}

/* RFC 3986 2.3: all but these is written as %XX. */
static void add_for_uri(struct text *t, struct slice bytes)
{
    for (size_t i = 0; i < bytes.length; i++) {
        uint8_t c = bytes.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';

        text_addf(t, plain ? "%c" : "%%%02X", c);
    }
}

void otp_add_uri(struct text *t, const struct otp *otp, struct slice issuer, struct slice user)
{
    bool totp = otp->kind == OTP_TOTP;

    text_addf(t, "otpauth://%s/", totp ? "totp" : "hotp");
    add_for_uri(t, issuer);
    text_add(t, ":");
    add_for_uri(t, user);
    text_add(t, "?secret=");
    otp_base32_add(t, (struct slice){otp->secret, otp->secret_length});
    text_add(t, "&issuer=");
    add_for_uri(t, issuer);
    text_addf(t, "&algorithm=%s&digits=%u", hashes[otp->hash].uri, (unsigned)otp->digits);
    if (totp) {
        text_addf(t, "&period=%u", (unsigned)otp->period_s);
    } else {
        text_add(t, "&counter=0");
    }
}
