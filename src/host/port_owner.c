/* Decides how the holder of a port is found: the kernel's socket table gives an inode, and some
 * process has it open. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/port_owner.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 512

/* sl local:port remote:port state queues timer retransmit uid timeout inode */
#define FIELD_LOCAL 1
#define FIELD_INODE 9

/* The inode of a line that is about this port, else 0. */
static uint64_t read_line(char *line, uint16_t port)
{
    char *rest = NULL;
    char *field = strtok_r(line, " ", &rest);

    for (unsigned i = 0; field != NULL && i < FIELD_INODE; i++) {
        const char *colon = strchr(field, ':');

        if (i == FIELD_LOCAL && (colon == NULL || strtoul(colon + 1, NULL, 16) != port)) {
            return 0;
        }
        field = strtok_r(NULL, " ", &rest);
    }
    return field == NULL ? 0 : strtoull(field, NULL, 10);
}

static uint64_t find_inode(const char *table, uint16_t port)
{
    char line[LINE_BYTES];
    uint64_t inode = 0;
    FILE *file = fopen(table, "re");

    if (file == NULL) {
        return 0;
    }
    while (inode == 0 && fgets(line, sizeof(line), file) != NULL) {
        inode = read_line(line, port);
    }
    (void)fclose(file);
    return inode;
}

static bool has_socket(const char *process, uint64_t inode)
{
    char path[300];
    char wanted[64];
    bool found = false;

    snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
    snprintf(path, sizeof(path), "/proc/%s/fd", process);
    DIR *files = opendir(path);
    if (files == NULL) {
        return false;
    }
    for (struct dirent *e = readdir(files); e != NULL && !found; e = readdir(files)) {
        char target[64];
        ssize_t length = readlinkat(dirfd(files), e->d_name, target, sizeof(target) - 1);

        if (length > 0) {
            target[length] = '\0';
            found = strcmp(target, wanted) == 0;
        }
    }
    (void)closedir(files);
    return found;
}

static void name_process(const char *process, char *words, size_t words_bytes)
{
    char path[300];
    char name[32] = "a program";

    snprintf(path, sizeof(path), "/proc/%s/comm", process);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(name, sizeof(name), file) != NULL) {
            name[strcspn(name, "\n")] = '\0';
        }
        (void)fclose(file);
    }
    snprintf(words, words_bytes, "%s (process %s)", name, process);
}

bool port_owner(enum family family, uint16_t port, char *words, size_t words_bytes)
{
    uint64_t inode = find_inode(family == FAMILY_IPV4 ? "/proc/net/udp" : "/proc/net/udp6", port);
    bool found = false;

    if (inode == 0) {
        return false;
    }
    DIR *processes = opendir("/proc");
    if (processes == NULL) {
        return false;
    }
    for (struct dirent *e = readdir(processes); e != NULL && !found; e = readdir(processes)) {
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && has_socket(e->d_name, inode)) {
            name_process(e->d_name, words, words_bytes);
            found = true;
        }
    }
    (void)closedir(processes);
    return found;
}
