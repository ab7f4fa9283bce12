/* What a site looks like from its peer, for those who write the peer's configuration. */
#ifndef SEKISHO_SEKISHO_EXPORT_PEER_H
#define SEKISHO_SEKISHO_EXPORT_PEER_H

#include "config/config.h"
#include "config/sheet.h"

/* "We" is this gateway; the text is for the peer, to whom it is the other side. */
struct export_peer {
    const struct config *config;
    const struct config_site *site;
    char name[CONFIG_NAME_BYTES]; /* of us, as a name in the peer's configuration */
    const char *our_address; /* what the peer dials */
    const char *peer_address; /* NULL: it is not known, and the peer must begin */
    const char *our_identity;
    const char *peer_identity;
    const struct network *our_networks, *peer_networks;
    size_t our_count, peer_count;
    struct slice secret; /* empty: it was not asked for */
    struct slice ppk; /* likewise */
};

struct export_format {
    const char *name; /* behind --for */
    const char *product;
    bool certificates; /* can be said */
    bool ppk; /* likewise (RFC 8784) */
    void (*write)(const struct export_peer *e, struct sheet *out);
};

/* NULL behind the last. */
const struct export_format *export_format_at(size_t index);

#endif
