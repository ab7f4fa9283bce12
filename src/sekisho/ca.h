/* `sekisho ca`: what its files have in common. */
#ifndef SEKISHO_SEKISHO_CA_H
#define SEKISHO_SEKISHO_CA_H

#include "sekisho/ca_files.h"

#define CA_DAY_S INT64_C(86400)
#define CA_CLOCK_SKEW_S 3600 /* clocks of others may be slow */

int64_t ca_now_s(void);
int ca_no_memory(const struct command *command);
/* A fresh key as `--key` says; told when that is no kind. */
int ca_make_key(const struct command *command, struct private_key **out);

/* For whom, and with which key: `key` NULL: it is somewhere else (a token), and `public` stays. */
struct ca_request {
    struct authority_order order;
    struct private_key *key;
    struct public_key *public;
};
void ca_request_fini(struct ca_request *request);
/* Issues it and puts it where it belongs; tells, unless `quiet`. */
int ca_issue_request(struct ca_files *files, const struct ca_request *request, bool quiet);
/* The list of what was revoked, anew. */
int ca_write_list(const struct ca_files *files);

/* From now on, as long as `--days` says. */
int ca_set_times(const struct ca_files *files, struct authority_order *order);
/* By its first name, or its serial number. */
bool ca_is_called(const struct issued *record, const char *name);
int ca_nobody(const struct command *command, const char *name);
/* The daemon, when one runs, reads certificates and lists again; what is up stays. */
bool ca_tell_daemon(const struct command *command);
int ca_renew(struct ca_files *files);

#endif
