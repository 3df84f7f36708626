/* SPDX-License-Identifier: MIT */
#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "avr_eeprom.h"
#include "avr_uart.h"
#include "image.h"
#include "node_record.h"
#include "virtual_time.h"

enum { RUN_CYCLES_MAX = 2000 };

static void log_simavr(avr_t *avr, const int level, const char *format, va_list arguments) {
    if (level <= LOG_WARNING)
        vfprintf(stderr, format, arguments);
}

/* simavr would sleep in real time here; main() does the pacing. */
static void no_sleep(avr_t *avr, avr_cycle_count_t cycles) {
}

/* Every reset comes through here, the watchdog's as well. */
static void on_reset(avr_t *avr) {
    struct board *board = avr->custom.data;

    if (board->simavr_reset)
        board->simavr_reset(avr);
    avr->run_cycle_limit = RUN_CYCLES_MAX; /* avr_reset() makes it 1 */
    board->boots_at = avr->cycle + virtual_time_cycles(board->settings.boot_ms);
    board->n_resets++;
    board->n_watchdog_resets++; /* taken back where the reset was not the watchdog's */
    dht11_model_restore_line(&board->sensor);
}

/* avr_reset() leaves the cause to its caller. */
static void reset_because(struct board *board, avr_regbit_t cause) {
    avr_reset(board->avr);
    board->n_watchdog_resets--;
    avr_regbit_clear(board->avr, board->avr->reset_flags.wdrf);
    avr_regbit_set(board->avr, cause);
}

static void on_uart_output(avr_irq_t *irq, uint32_t value, void *userdata) {
    struct board *board = userdata;

    board->settings.uart_sink((uint8_t)value, board->settings.userdata);
}

static void on_uart_xon(avr_irq_t *irq, uint32_t value, void *userdata) {
    struct board *board = userdata;

    board->is_uart_input_full = false;
}

static void on_uart_xoff(avr_irq_t *irq, uint32_t value, void *userdata) {
    struct board *board = userdata;

    if (value)
        board->is_uart_input_full = true;
}

static avr_irq_t *uart_irq(avr_t *avr, int index) {
    return avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), index);
}

static void attach_uart(struct board *board) {
    avr_t *avr = board->avr;
    uint32_t flags = 0;

    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(uint32_t)(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);

    board->uart_input = uart_irq(avr, UART_IRQ_INPUT);
    avr_irq_register_notify(uart_irq(avr, UART_IRQ_OUTPUT), on_uart_output, board);
    avr_irq_register_notify(uart_irq(avr, UART_IRQ_OUT_XON), on_uart_xon, board);
    avr_irq_register_notify(uart_irq(avr, UART_IRQ_OUT_XOFF), on_uart_xoff, board);
}

static void load_eeprom(struct board *board) {
    int fd = board->settings.eeprom ? open(board->settings.eeprom, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = -1;

    if (fd >= 0) {
        n = read(fd, board->saved_eeprom, sizeof(board->saved_eeprom));
        close(fd);
    }
    if (n == (ssize_t)sizeof(board->saved_eeprom))
        memcpy(board->eeprom, board->saved_eeprom, sizeof(board->saved_eeprom));
    if (board->settings.node > 0)
        node_record_write(board->settings.node, board->eeprom);
}

static int attach_eeprom(struct board *board) {
    avr_eeprom_desc_t all = { .ee = NULL, .offset = 0, .size = sizeof(board->saved_eeprom) };

    avr_ioctl(board->avr, AVR_IOCTL_EEPROM_GET, &all); /* without a buffer: tells its own */
    if (!all.ee)
        return -ENODEV;

    board->eeprom = all.ee;
    load_eeprom(board);
    return 0;
}

static int load_images(struct board *board) {
    const struct board_settings *settings = &board->settings;
    int r;

    r = image_load_elf(board->avr, settings->elf, &board->hang_address);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", settings->elf, strerror(-r));
        return r;
    }
    if (!settings->boot_loader)
        return 0;

    r = image_load_boot_loader(board->avr, settings->boot_loader);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", settings->boot_loader, strerror(-r));
    return r;
}

int board_init(struct board *board, const struct board_settings *settings) {
    int r;

    *board = (struct board){ .settings = *settings };
    avr_global_logger_set(log_simavr);

    board->avr = avr_make_mcu_by_name("atmega328p");
    if (!board->avr) {
        fprintf(stderr, "libsimavr has no ATmega328P\n");
        return -ENODEV;
    }
    avr_init(board->avr);
    board->avr->frequency = VIRTUAL_TIME_HZ;
    r = load_images(board);
    if (r < 0)
        return r;

    dht11_model_init(&board->sensor, board->avr, &settings->sensor);
    attach_uart(board);
    board->avr->sleep = no_sleep;
    board->avr->custom.data = board;
    board->simavr_reset = board->avr->reset;
    board->avr->reset = on_reset;
    return attach_eeprom(board);
}

void board_deinit(struct board *board) {
    if (!board->avr)
        return;
    board_save_eeprom(board);
    avr_terminate(board->avr);
    board->avr = NULL;
}

void board_power_on(struct board *board) {
    avr_t *avr = board->avr;

    /* Memory holds anything at power-on: a missing initialisation is to show. */
    memset(avr->data + avr->ioend + 1, 0xA5, (size_t)(avr->ramend - avr->ioend));
    dht11_model_power_on(&board->sensor);
    reset_because(board, avr->reset_flags.porf);
    board->is_powered = true;
}

void board_power_off(struct board *board) {
    board->is_powered = false;
}

void board_reset(struct board *board) {
    reset_because(board, board->avr->reset_flags.extrf);
}

int board_hang(struct board *board) {
    if (board->hang_address == 0 || !board->is_powered)
        return -ENOTSUP;

    board->avr->pc = board->hang_address;
    board->avr->state = cpu_Running;
    return 0;
}

static int step(struct board *board, avr_cycle_count_t until) {
    int state;

    if (!board->is_powered || board->boots_at > board->avr->cycle) {
        avr_cycle_count_t idle_until = until;

        if (board->is_powered && board->boots_at < until)
            idle_until = board->boots_at;
        board->avr->cycle = idle_until;
        return 0;
    }
    state = avr_run(board->avr);
    if (state != cpu_Done && state != cpu_Crashed)
        return 0;

    virtual_time_log(board->avr, "the processor has stopped (state %d) at %#x", state,
                     board->avr->pc);
    return -EIO;
}

int board_run(struct board *board, avr_cycle_count_t until) {
    dht11_model_update(&board->sensor);
    while (board->avr->cycle < until) {
        int r = step(board, until);

        if (r < 0)
            return r;
    }
    return 0;
}

/* ATmega328P data sheet, section 19.10: UCSR0A and UBRR0. */
unsigned board_baud(const struct board *board) {
    enum { UCSR0A = 0xC0, U2X0 = 1 << 1, UBRR0L = 0xC4, UBRR0H = 0xC5 };
    const uint8_t *data = board->avr->data;
    unsigned divisor = 1u + data[UBRR0L] + 256u * (data[UBRR0H] & 0x0F);

    return VIRTUAL_TIME_HZ / (data[UCSR0A] & U2X0 ? 8u : 16u) / divisor;
}

void board_receive(struct board *board, uint8_t byte) {
    if (board->is_powered)
        avr_raise_irq(board->uart_input, byte);
}

void board_save_eeprom(struct board *board) {
    size_t size = sizeof(board->saved_eeprom);
    int fd;

    if (!board->settings.eeprom || memcmp(board->eeprom, board->saved_eeprom, size) == 0)
        return;

    fd = open(board->settings.eeprom, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || pwrite(fd, board->eeprom, size, 0) != (ssize_t)size)
        virtual_time_log(board->avr, "%s: %s", board->settings.eeprom, strerror(errno));
    if (fd >= 0)
        close(fd);
    memcpy(board->saved_eeprom, board->eeprom, size);
}
