/* One-time passwords: by a counter (HOTP, RFC 4226) and by the time (TOTP, RFC 6238). */
#ifndef SEKISHO_LOGIN_OTP_H
#define SEKISHO_LOGIN_OTP_H

#include "base/random.h"
#include "base/text.h"

#define OTP_SECRET_BYTES_MAX 64
#define OTP_SECRET_BYTES_LEAST 16 /* RFC 4226 4, R6 */
#define OTP_SECRET_BYTES 20 /* of new ones */
#define OTP_DIGITS_MAX 8
#define OTP_BASE32_BYTES 112
/* A code of the step before and of the one after is taken (RFC 6238 5.2), as clocks and thumbs are
 * slow; of a token with a counter one of the next ten (RFC 4226 7.4). */
#define OTP_TIME_WINDOW 1
#define OTP_COUNTER_WINDOW 10

enum otp_kind { OTP_NONE, OTP_TOTP, OTP_HOTP };
enum otp_hash { OTP_SHA1, OTP_SHA256, OTP_SHA512 };

struct otp {
    uint8_t kind; /* enum otp_kind */
    uint8_t hash; /* enum otp_hash */
    uint8_t digits; /* 6 to 8 */
    uint8_t secret_length;
    uint16_t period_s; /* of TOTP */
    uint8_t secret[OTP_SECRET_BYTES_MAX];
};

/* A new one with the values that every app knows. */
struct otp otp_new(enum otp_kind kind, struct random_source *random);
/* The code of one counter, or of one step of time; with its zero. */
MUST_USE bool otp_code(const struct otp *otp, uint64_t counter, char out[OTP_DIGITS_MAX + 1]);
/* Whether a code is right now. `next` is the first counter that was not used yet; `used` is that of
 * the code, from behind which the next one counts. Takes as long whatever the code is. */
MUST_USE bool otp_match(const struct otp *otp, struct slice code, uint64_t next, uint64_t wall_s,
                        uint64_t *used);

/* RFC 4648 6, without padding; small letters are read too. */
MUST_USE bool otp_base32_parse(struct slice text, uint8_t *out, size_t capacity, size_t *length);
void otp_base32_add(struct text *t, struct slice bytes);
/* otpauth://totp/ISSUER:USER?secret=...: what apps read from a QR code. */
void otp_add_uri(struct text *t, const struct otp *otp, struct slice issuer, struct slice user);
const char *otp_hash_name(enum otp_hash hash); /* sha1 */

#endif
