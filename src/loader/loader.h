/*
 * The configuration from disk: joins the language's questions (which text, which files, is the
 * secret there) to files. The daemon and the command read the same way.
 */
#ifndef SEKISHO_LOADER_LOADER_H
#define SEKISHO_LOADER_LOADER_H

#include "base/secret.h"
#include "config/config.h"

#define LOADER_DEFAULT_CONFIG "/etc/sekisho/sekisho.conf"
#define LOADER_PATH_BYTES 4096

/* Keeps the texts of one reading; they live until loader_free(), which must come after
 * config_result_free(). */
struct loader;

/* `check_secrets`: whether a secret that is missing or readable by others is an error of the
 * configuration. NULL when there is no memory. The directory is copied. */
MUST_USE struct loader *loader_new(const char *secrets_directory, bool check_secrets);
/* Keys in tokens are tried too, which may take long and costs the token one login. */
void loader_try_tokens(struct loader *loader);
void loader_free(struct loader *loader);
/* For config_read(); borrowed from the loader. */
const struct config_loader *loader_config(const struct loader *loader);
/* Reads one text that is not a file (standard input) under the name `path`; to be said before
 * config_read(path). The text is copied. */
MUST_USE bool loader_give_text(struct loader *loader, const char *path, struct slice text);

/* What stands beside the folder of secrets, which is the folder of the configuration. False when
 * the path is too long. */
MUST_USE bool loader_beside(const char *secrets_directory, const char *name,
                            char out[LOADER_PATH_BYTES]);
/* Where the secrets of a configuration lie: `secrets` beside it. False when the path is too long.
 */
MUST_USE bool loader_secrets_directory(const char *config_path, char out[LOADER_PATH_BYTES]);

#endif
