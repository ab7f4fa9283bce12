/* What `sekisho ca` keeps: its folders, its key, and the record of what it issued. */
#ifndef SEKISHO_SEKISHO_CA_FILES_H
#define SEKISHO_SEKISHO_CA_FILES_H

#include "crypto/authority.h"
#include "crypto/credential.h"
#include "loader/issued.h"
#include "loader/loader.h"
#include "sekisho/command.h"

#define CA_PATH_BYTES (LOADER_PATH_BYTES + 320)
#define CA_RECORDS_MAX 100000

struct ca_files {
    const struct command *command;
    char folder[LOADER_PATH_BYTES]; /* of the authority */
    char certificates[LOADER_PATH_BYTES]; /* what gateways of this machine use */
    struct certificate *authority;
    struct private_key *key;
    char url[AUTHORITY_URL_BYTES]; /* of the list, for what is issued; empty: not said */
    size_t count;
    struct issued *records;
};

/* Where they are; EXIT_OK, or how to end (told). */
int ca_files_begin(const struct command *command, struct ca_files *files);
/* The authority itself, and its record. With `key` its private key as well. */
int ca_files_open(struct ca_files *files, bool key);
void ca_files_fini(struct ca_files *files);
int ca_files_write(const struct ca_files *files, const char *folder, const char *name,
                   const char *ending, struct slice bytes, unsigned mode);
int ca_files_write_path(const struct ca_files *files, const char *path, struct slice bytes,
                        unsigned mode);
/* Adds one at the end; the index is written as a whole. */
int ca_files_add(struct ca_files *files, const struct issued *record);
int ca_files_save(const struct ca_files *files);
bool ca_files_exist(const struct ca_files *files);
/* The line of a file that was named, or nothing. */
int ca_passphrase(const struct command *command, struct secret *out);

#endif
