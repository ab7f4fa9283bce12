/* Decides where the word unauthenticated may stand: where nothing else says who the peer is. */
#include "config/schema.h"

static void refuse_others(struct reading *r)
{
    static const char *const words[] = {"key",  "certificate", "trust", "name",           "crl",
                                        "ocsp", "identity",    "say",   "strict-identity"};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        struct config_place at = said_at(r, words[i]);

        if (at.line != 0) {
            COMPLAIN(r, at, "take the line unauthenticated out, or this one",
                     "site %s says unauthenticated, and nobody says or proves who he is",
                     r->site.name);
            return;
        }
    }
}

/* RFC 7619 2.5: whoever may be anywhere would be given what is meant for others. */
static void check_peers(struct reading *r)
{
    size_t count = r->site.peer_count;

    if (count > 1 || (count == 1 && (r->peers[0].any || address_is_unset(&r->peers[0].address)))) {
        COMPLAIN(r, r->site_note.peer, "write: peer ADDRESS",
                 "a peer that proves nothing is known by its one address alone");
    }
}

void check_unauthenticated(struct reading *r)
{
    const struct config_ppk *ppk = r->site.ppk;

    if (!r->site.unauthenticated) {
        return;
    }
    refuse_others(r);
    check_peers(r);
    if (ppk != NULL && !ppk->required) {
        /* RFC 8784 5.2.3 */
        COMPLAIN(r, ppk->secret.place, "write required instead of prefer",
                 "the PPK is the only proof of site %s, and could be left out", r->site.name);
    } else if (ppk == NULL) {
        WARN(r, said_at(r, "unauthenticated"), "where the peer can, write a key: key @NAME",
             "whoever answers at the address of site %s, or stands between, can read and change "
             "its traffic",
             r->site.name);
    }
}
