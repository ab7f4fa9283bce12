/* For the tests of this room: a disk in memory. */
#ifndef SEKISHO_CONFIG_TESTBED_H
#define SEKISHO_CONFIG_TESTBED_H

#include "config/reading.h"

#define TESTBED_FILES_MAX 1200

struct testbed_file {
    const char *path;
    const char *text;
};

struct testbed {
    struct config_loader loader;
    struct testbed_file files[TESTBED_FILES_MAX];
    size_t count;
    struct slice main; /* of c.conf, when it is not in `files` */
    const char *missing_secret;
    size_t secrets_asked;
};

void testbed_init(struct testbed *t);
/* Secrets have texts: those of the files "secrets/NAME". */
void testbed_has_secrets(struct testbed *t);
void testbed_add(struct testbed *t, const char *path, const char *text);
/* Reads c.conf with this text. */
struct config_result *testbed_read(struct testbed *t, const char *text);
struct config_result *testbed_read_slice(struct testbed *t, struct slice text);
/* The text is right; the configuration, to be freed. */
struct config *testbed_good(const char *text);
/* All that is said about the text, to be freed. */
char *testbed_words(const char *text);

/* Two lines that make every site complete, and a site with one more statement in it. */
#define GATEWAY "gateway tokyo.example.jp\nlan 10.1.0.0/16\n"
#define SITE(name, network, more)                                                                  \
    "site " name " {\n  peer " name ".example.jp\n  network " network "\n  key @" name "\n" more   \
    "\n}\n"

#endif
