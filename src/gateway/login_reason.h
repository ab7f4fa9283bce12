/* What the catalogue of failures says about a login that came to nothing. */
#ifndef SEKISHO_GATEWAY_LOGIN_REASON_H
#define SEKISHO_GATEWAY_LOGIN_REASON_H

#include "login/login.h"
#include "reasons/reason.h"

/* REASON_NONE when it is the user's own affair: a wrong password, a wrong code. */
enum reason login_reason_of(enum login_reason reason);

#endif
