import { StreamTicket } from '../contract/streams.js';
import { router, userProcedure } from './trpc.js';

export const streamsRouter = router({
  ticket: userProcedure.output(StreamTicket).mutation(({ ctx }) => ctx.issueTicket()),
});
