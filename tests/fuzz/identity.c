/* Identities from words of any bytes and from payloads of any bytes (first byte: the type). */
#include <string.h>

#include "fuzz.h"
#include "proto/ike/identity.h"

static void check_identity(const struct ike_identity *id)
{
    char room[4 * IKE_IDENTITY_BYTES_MAX + 17];
    struct text t = text_over(room, sizeof(room));

    MUST(id->length > 0 && id->length <= IKE_IDENTITY_BYTES_MAX && id->type != 0);
    MUST(ike_identity_matches(id, id, true) && ike_identity_matches(id, id, false));
    ike_identity_describe(id, &t);
    MUST(!t.cut && strlen(room) == t.length);
    for (size_t i = 0; i < t.length; i++) {
        MUST(room[i] >= ' ' && room[i] <= '~');
    }
}

FUZZ(identity, 20000)
{
    struct ike_identity word;
    struct ike_identity said;
    bool has_word = ike_identity_parse((struct slice){data, size}, &word);
    bool has_said = size > 0 && data[0] != 0 &&
                    ike_identity_set(&said, data[0], (struct slice){data + 1, size - 1});

    if (has_word) {
        check_identity(&word);
    }
    if (has_said) {
        check_identity(&said);
    }
    if (has_word && has_said && ike_identity_matches(&word, &said, true)) {
        MUST(ike_identity_matches(&word, &said, false));
    }
    return 0;
}
