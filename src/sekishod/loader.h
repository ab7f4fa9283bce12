/* How the configuration finds its files and secrets: joins the room config to the room host. */
#ifndef SEKISHO_SEKISHOD_LOADER_H
#define SEKISHO_SEKISHOD_LOADER_H

#include "config/config.h"

struct loader;

/* NULL: no memory. */
MUST_USE struct loader *loader_new(const char *secrets_directory);
/* The texts that were read are gone with it: after the result of config_read(). */
void loader_free(struct loader *loader);
const struct config_loader *loader_interface(struct loader *loader);

#endif
