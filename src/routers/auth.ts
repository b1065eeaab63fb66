import {
  Login,
  LoginInput,
  RegisterAccountInput,
  SendCode,
  SendCodeInput,
  Whoami,
} from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import { loginProcedure, router, userProcedure } from './trpc.js';

export const authRouter = router({
  login: loginProcedure
    .meta({ access: 'public', audit: 'auth.login' })
    .input(LoginInput)
    .output(Login)
    .mutation(({ ctx, input }) => ctx.services.accounts.login(input, ctx.caller)),

  sendCode: loginProcedure
    .input(SendCodeInput)
    .output(SendCode)
    .mutation(({ ctx, input }) => ctx.services.registration.sendCode(input.email)),

  register: loginProcedure
    .meta({ access: 'public', audit: 'auth.register' })
    .input(RegisterAccountInput)
    .output(Login)
    .mutation(({ ctx, input }) => ctx.services.registration.register(input)),

  whoami: userProcedure.output(Whoami).query(({ ctx: { principal } }) => ({
    ...principal,
    scopes: [...principal.scopes],
    expires_at: principal.expires_at === null ? null : toInstant(principal.expires_at),
  })),
});
