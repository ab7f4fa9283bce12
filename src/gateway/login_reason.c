/* Decides which failures of logins are for the administrator to mend. */
#include "gateway/login_reason.h"

enum reason login_reason_of(enum login_reason reason)
{
    switch (reason) {
    case LOGIN_REASON_RADIUS_SILENT:
    case LOGIN_REASON_RADIUS_SECRET:
        return REASON_RADIUS_SILENT;
    case LOGIN_REASON_RADIUS_REJECTED:
        return REASON_RADIUS_REJECTED;
    case LOGIN_REASON_RADIUS_FORGED:
        return REASON_RADIUS_FORGED;
    case LOGIN_REASON_RADIUS_UNSIGNED:
        return REASON_RADIUS_UNSIGNED;
    case LOGIN_REASON_RADIUS_REPLY:
        return REASON_RADIUS_REPLY;
    case LOGIN_REASON_STORE:
        return REASON_USERS;
    case LOGIN_REASON_NONE:
    case LOGIN_REASON_PASSWORD:
    case LOGIN_REASON_DISABLED:
    case LOGIN_REASON_CODE:
    case LOGIN_REASON_NO_SECOND_FACTOR:
    case LOGIN_REASON_THROTTLED:
    case LOGIN_REASON_METHOD:
    case LOGIN_REASON_STALE:
    case LOGIN_REASON_BUSY:
    case LOGIN_REASON_COUNT:
        break;
    }
    return REASON_NONE;
}
