/* Telling the service manager how we are (sd_notify): without one, nothing happens. */
#ifndef SEKISHO_HOST_NOTIFY_H
#define SEKISHO_HOST_NOTIFY_H

/* "READY=1", "RELOADING=1", "STOPPING=1", "STATUS=...", "WATCHDOG=1"; several are separated by
 * newlines. */
void notify_send(const char *state);

#endif
