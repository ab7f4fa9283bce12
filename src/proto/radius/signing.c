/*
 * Decides whether a reply is the server's. The Response Authenticator alone is MD5 over what an
 * attacker can shape (CVE-2024-3596), so that a reply without a Message-Authenticator, an HMAC, is
 * told apart from one that has it.
 */
#include "proto/radius/signing.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/digest.h"

static void md5(const struct slice *parts, size_t count, uint8_t out[RADIUS_AUTHENTICATOR_BYTES])
{
    struct digest d;

    digest_begin(&d, DIGEST_MD5);
    for (size_t i = 0; i < count; i++) {
        digest_add(&d, parts[i].data, parts[i].length);
    }
    digest_end(&d, out);
}

size_t radius_hide_password(struct slice secret,
                            const uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES],
                            struct slice password, uint8_t out[RADIUS_PASSWORD_BYTES_MAX])
{
    size_t length = password.length == 0 ? 16 : (password.length + 15) / 16 * 16;
    const uint8_t *before = authenticator;
    uint8_t pad[RADIUS_AUTHENTICATOR_BYTES];

    if (length > RADIUS_PASSWORD_BYTES_MAX) {
        return 0;
    }
    memset(out, 0, length);
    if (password.length > 0) {
        memcpy(out, password.data, password.length);
    }
    for (size_t at = 0; at < length; at += sizeof(pad)) {
        const struct slice parts[] = {secret, {before, sizeof(pad)}};

        md5(parts, 2, pad);
        for (size_t i = 0; i < sizeof(pad); i++) {
            out[at + i] ^= pad[i];
        }
        before = out + at;
    }
    wipe(pad, sizeof(pad));
    return length;
}

void radius_message_authenticator(struct slice secret, struct slice packet, size_t at,
                                  const uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES],
                                  uint8_t out[RADIUS_AUTHENTICATOR_BYTES])
{
    static const uint8_t zeros[RADIUS_AUTHENTICATOR_BYTES];
    size_t behind = at + sizeof(zeros);
    struct hmac_key key;
    struct hmac h;

    hmac_key_init(&key, DIGEST_MD5, secret);
    hmac_begin(&h, DIGEST_MD5, &key);
    hmac_add(&h, packet.data, 4);
    hmac_add(&h, authenticator, RADIUS_AUTHENTICATOR_BYTES);
    hmac_add(&h, packet.data + RADIUS_HEAD_BYTES, at - RADIUS_HEAD_BYTES);
    hmac_add(&h, zeros, sizeof(zeros));
    hmac_add(&h, packet.data + behind, packet.length - behind);
    hmac_end(&h, out);
    wipe(&key, sizeof(key));
}

void radius_response_authenticator(struct slice secret, struct slice packet,
                                   const uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES],
                                   uint8_t out[RADIUS_AUTHENTICATOR_BYTES])
{
    const struct slice parts[] = {
        {packet.data, 4},
        {authenticator, RADIUS_AUTHENTICATOR_BYTES},
        {packet.data + RADIUS_HEAD_BYTES, packet.length - RADIUS_HEAD_BYTES},
        secret,
    };

    md5(parts, ARRAY_LENGTH(parts), out);
}

/* RFC 2869 5.19: there is one at most. */
static size_t count_signatures(const struct radius_packet *reply, struct slice *value)
{
    struct reader attributes = reader_over(reply->attributes);
    struct radius_attribute attribute;
    size_t count = 0;

    while (radius_read_attribute(&attributes, &attribute)) {
        if (attribute.type == RADIUS_MESSAGE_AUTHENTICATOR) {
            *value = attribute.value;
            count++;
        }
    }
    return count;
}

/* Nobody of us sends Proxy-State, so an honest reply has none; the known forgery needs one. */
static bool has_proxy_state(const struct radius_packet *reply)
{
    struct reader attributes = reader_over(reply->attributes);
    struct radius_attribute attribute;

    while (radius_read_attribute(&attributes, &attribute)) {
        if (attribute.type == RADIUS_PROXY_STATE) {
            return true;
        }
    }
    return false;
}

enum radius_authentic radius_judge_reply(struct slice secret, struct slice bytes,
                                         const struct radius_packet *reply,
                                         const uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES])
{
    uint8_t expected[RADIUS_AUTHENTICATOR_BYTES];
    struct slice signature = {NULL, 0};
    size_t signatures = count_signatures(reply, &signature);

    radius_response_authenticator(secret, bytes, authenticator, expected);
    if (!equal_in_constant_time(expected, reply->authenticator, sizeof(expected))) {
        return RADIUS_FORGED;
    }
    if (signatures == 0) {
        return has_proxy_state(reply) ? RADIUS_FORGED : RADIUS_UNSIGNED;
    }
    if (signatures > 1 || signature.length != sizeof(expected)) {
        return RADIUS_FORGED;
    }
    radius_message_authenticator(secret, bytes, (size_t)(signature.data - bytes.data),
                                 authenticator, expected);
    return equal_in_constant_time(expected, signature.data, sizeof(expected)) ? RADIUS_AUTHENTIC
                                                                              : RADIUS_FORGED;
}
