/* The verbs: one table for the command line, for help and for the completions. */
#include <string.h>

#include "sekisho/command.h"

static const struct verb verbs[] = {
    {"status", "[NAME] [-v]", "sites, tunnels, traffic, problems; NAME for one site", 0, 1,
     verb_status},
    {"explain", "[NAME|CODE]", "why a site is down, or what a code such as SEK-A012 means", 0, 1,
     verb_explain},
    {"check", "[FILE] [--stdin] | --site NAME --probe",
     "reads the configuration and says everything that is wrong with it; or asks a peer what it "
     "accepts",
     0, 1, verb_check},
    {"up", "NAME", "starts a site", 1, 1, verb_order},
    {"down", "NAME", "closes a site; its traffic is dropped, not sent in clear. Or logs a user out",
     1, 1, verb_order},
    {"restart", "NAME [--rekey]", "closes and starts a site; --rekey: new keys only, without a gap",
     1, 1, verb_order},
    {"apply", "[--dry-run]", "reads the configuration again and applies what has changed", 0, 0,
     verb_apply},
    {"fmt", "[FILE] [--stdin]", "indents and aligns a configuration file", 0, 1, verb_fmt},
    {"show", "config [--all]", "the running configuration; --all with every default", 1, 1,
     verb_show},
    {"secret", "new|set|fingerprint NAME",
     "makes a shared key, takes one from the standard input, compares", 2, 2, verb_secret},
    {"ca", "init|issue|renew|revoke|list|export|crl|install [NAME...] [-o FILE] [--due]",
     "a certificate authority of your own: sekisho help ca", 1, 8, verb_ca},
    {"users",
     "add|remove|passwd|otp|disable|enable|groups|try|kick NAME | list|sessions|check|hash "
     "[--group G,...] [--address A]",
     "who may log in: passwords, one-time passwords, groups, addresses", 1, 8, verb_users},
    {"export-peer", "SITE --for PRODUCT [--with-secret] [-o FILE]",
     "the other side's configuration of a site, for its product", 1, 1, verb_export_peer},
    {"trace", "[NAME] [--follow|--last N]",
     "the negotiation message by message, in clear, or the last N; keys are never shown", 0, 1,
     verb_trace},
    {"sas", "[NAME]", "every security association with its SPIs and traffic", 0, 1, verb_sas},
    {"drops", "[-v] [--follow]", "dropped packets by reason, with the latest of each", 0, 0,
     verb_drops},
    {"pools", "", "addresses for people: how many there are, and how many are in use", 0, 0,
     verb_pools},
    {"capture", "NAME [--plain|--both] -w FILE [--keys FILE] [--count N] [--seconds N]",
     "packets of a site into a file for Wireshark, as on the wire or in clear", 1, 1, verb_capture},
    {"log", "[NAME] [--follow]", "the last lines of the log", 0, 1, verb_log},
    {"version", "", "of the command and of the daemon", 0, 0, verb_version},
    {"help", "[WORD]", "verbs, words of the configuration, codes", 0, 2, verb_help},
};

const struct verb *verb_at(size_t index)
{
    return index < sizeof(verbs) / sizeof(verbs[0]) ? &verbs[index] : NULL;
}

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; verb_at(i) != NULL; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}
