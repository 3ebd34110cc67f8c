/* The queue as workers ask it over HTTP: JSON in; a message as JSON, or OK, out. */
#ifndef DASHBOARD_DESK_H
#define DASHBOARD_DESK_H

#include "site.h"

/* {"queues":["ci"],"worker":"vm","poll":"1f","wait_seconds":20,"lease_seconds":120} ->
 * {"message_id","receipt","queue","attempt","handbacks","body"}, or 204 */
handler desk_receive;
handler desk_cancel;      /* {"poll":"1f"} -> OK; that wait ends with 204 */
handler desk_extend;      /* {"receipt":"ab","lease_seconds":120} -> OK, or 409 */
handler desk_acknowledge; /* {"receipt":"ab"} -> OK */
handler desk_release;     /* {"receipt":"ab","delay_seconds":0,"handback":true} -> OK */

#endif
