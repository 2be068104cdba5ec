/* A Modbus device by libmodbus, for the tests of the port: it shares no line with pymodbus or Jisr.
 *
 *   modbus_server tcp            listens on 127.0.0.1, prints the port it got
 *   modbus_server rtu DEVICE     answers as unit 10 on a serial line
 *
 * Holding registers 1024 to 1073, inputs 0 to 9, coils and discrete inputs 0 to 19; everything else is exception 2.
 */
#include <modbus.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>

static int serve(modbus_t *ctx, modbus_mapping_t *map)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        int rc = modbus_receive(ctx, query);
        if (rc < 0)
            return rc;
        if (rc > 0)
            modbus_reply(ctx, query, rc, map);
    }
}

int main(int argc, char **argv)
{
    static const uint16_t worked[] = {0xFFFF, 0x0052, 0x7FFF, 0x0049, 0x010F, 0x007D, 0x05DC, 0x01F4, 0x0000, 0x08FD};
    modbus_mapping_t *map = modbus_mapping_new_start_address(0, 20, 0, 20, 1024, 50, 0, 10);
    memcpy(map->tab_registers, worked, sizeof worked);
    for (int i = 0; i < 10; i++)
        map->tab_input_registers[i] = 100 + i;
    map->tab_bits[0] = map->tab_bits[9] = map->tab_bits[17] = 1;
    map->tab_input_bits[3] = 1;

    if (argc == 3 && strcmp(argv[1], "rtu") == 0) {
        modbus_t *ctx = modbus_new_rtu(argv[2], 19200, 'N', 8, 1);
        modbus_set_slave(ctx, 10);
        if (modbus_connect(ctx) < 0)
            return 1;
        puts("ready");
        fflush(stdout);
        while (serve(ctx, map) < 0 && getppid() != 1)
            ;
        return 0;
    }
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listening, (struct sockaddr *)&address, size) < 0 || listen(listening, 4) < 0)
        return 1;
    getsockname(listening, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        modbus_t *ctx = modbus_new_tcp("127.0.0.1", 1502);
        if (modbus_tcp_accept(ctx, &listening) < 0)
            return 1;
        serve(ctx, map);
        modbus_close(ctx);
        modbus_free(ctx);
    }
}
